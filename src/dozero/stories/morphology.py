"""How words of the lexicon are written in their other forms, in Portuguese and English.

An entry gives what the rules cannot know after a slash: `pão/pães`, `cantor/cantora`, `draw/drew`.
"""

from __future__ import annotations

from collections.abc import Callable

VOWELS = "aeiou"
IRREGULAR_PT = {
    # infinitive: gerund, past, imperfect, present, past of several
    "fazer": ("fazendo", "fez", "fazia", "faz", "fizeram"),
    "ler": ("lendo", "leu", "lia", "lê", "leram"),
    "ver": ("vendo", "viu", "via", "vê", "viram"),
    "rir": ("rindo", "riu", "ria", "ri", "riram"),
    "passear": ("passeando", "passeou", "passeava", "passeia", "passearam"),
    "construir": ("construindo", "construiu", "construía", "constrói", "construíram"),
    "esculpir": ("esculpindo", "esculpiu", "esculpia", "esculpe", "esculpiram"),
}
ENDINGS_PT = {
    "ar": ("ando", "ou", "ava", "a", "aram"),
    "er": ("endo", "eu", "ia", "e", "eram"),
    "ir": ("indo", "iu", "ia", "e", "iram"),
}
VERB_FORMS_PT = ("ger", "past", "used", "pres", "theypast")
SAID_WITH_A = ("uni", "use", "uku", "eu", "one")
SAID_WITH_AN = ("hour", "honest", "heir")


def plural_pt(noun: str) -> str:
    """Return the plural of a Portuguese noun or adjective; of `caixa de som` only the first word changes.

    >>> [plural_pt(word) for word in ("casa", "flor", "pastel", "jardim", "gentil", "lápis", "caixa de som")]
    ['casas', 'flores', 'pastéis', 'jardins', 'gentis', 'lápis', 'caixas de som']
    """
    head, space, rest = noun.partition(" ")
    for ending, plural in (("al", "ais"), ("el", "éis"), ("il", "is"), ("ol", "óis"), ("ul", "uis"), ("m", "ns")):
        if head.endswith(ending):
            return head.removesuffix(ending) + plural + space + rest
    if head.endswith("s"):
        plain = str.maketrans("êé", "ee")
        return (head[:-2] + head[-2:].translate(plain) + "es" if head[-2] in "êé" else head) + space + rest
    return head + ("es" if head[-1] in "rz" else "s") + space + rest


def noun_pt(entry: str) -> dict[str, str]:
    """Return singular and plural: `limão/limões` or `casa`."""
    singular, _, plural = entry.partition("/")
    return {"": singular, "p": plural or plural_pt(singular)}


def adjective_pt(entry: str) -> dict[str, str]:
    """Return the four forms of `novo`, `cantor/cantora` or `bom/boa/bons/boas`.

    >>> adjective_pt("feliz")
    {'': 'feliz', 'f': 'feliz', 'p': 'felizes', 'fp': 'felizes'}
    """
    forms = entry.split("/")
    if len(forms) == 1:
        word = forms[0]
        feminine = word[:-1] + "a" if word.endswith("o") else word + "a" if word.endswith(("or", "ês")) else word
        forms.append(feminine.replace("êsa", "esa"))
    if len(forms) == 2:
        forms += [plural_pt(form) for form in forms]
    return dict(zip(("", "f", "p", "fp"), forms, strict=True))


def verb_pt(entry: str) -> dict[str, str]:
    """Return the forms of a verb and what follows it.

    >>> verb_pt("pular corda")["used"], verb_pt("ler gibis")["theypast"]
    ('pulava corda', 'leram gibis')
    """
    verb, space, rest = entry.partition(" ")
    stem, ending = verb[:-2], verb[-2:]
    forms = IRREGULAR_PT.get(verb) or tuple(stem + form for form in ENDINGS_PT[ending])
    return {"": entry} | {name: form + space + rest for name, form in zip(VERB_FORMS_PT, forms, strict=True)}


def plural_en(noun: str) -> str:
    """Return the plural of an English noun.

    >>> [plural_en(word) for word in ("toy", "berry", "box", "peach", "bird")]
    ['toys', 'berries', 'boxes', 'peaches', 'birds']
    """
    if noun.endswith(("s", "x", "ch", "sh", "z")):
        return noun + "es"
    return noun[:-1] + "ies" if noun.endswith("y") and noun[-2] not in VOWELS else noun + "s"


def with_article(word: str) -> str:
    """Return the word after a or an, by its sound.

    >>> [with_article(word) for word in ("apple", "uniform", "hour", "red apple")]
    ['an apple', 'a uniform', 'an hour', 'a red apple']
    """
    has_vowel_sound = (word[0] in VOWELS and not word.startswith(SAID_WITH_A)) or word.startswith(SAID_WITH_AN)
    return f"{'an' if has_vowel_sound else 'a'} {word}"


def noun_en(entry: str) -> dict[str, str]:
    """Return singular, plural, and the singular after its article: `loaf/loaves` or `box`."""
    singular, _, plural = entry.partition("/")
    return {"": singular, "p": plural or plural_en(singular), "a": with_article(singular)}


def adjective_en(entry: str) -> dict[str, str]:
    """Return an adjective, alone and after an article; it is the same for every noun."""
    return {"": entry, "f": entry, "p": entry, "fp": entry, "a": with_article(entry)}


def verb_en(entry: str) -> dict[str, str]:
    """Return the forms of a verb and what follows it; `draw/drew maps` gives an irregular past.

    >>> verb_en("knit scarves")["ing"], verb_en("carry/carried water")["s"], verb_en("swim/swam")["past"]
    ('knitting scarves', 'carries water', 'swam')
    """
    head, space, rest = entry.partition(" ")
    verb, _, past = head.partition("/")
    doubled = verb + verb[-1] if _doubles(verb) else verb
    stem = verb[:-1] if verb.endswith("e") and not verb.endswith("ee") else doubled
    regular = verb[:-1] + "ied" if verb.endswith("y") and verb[-2] not in VOWELS else stem + "ed"
    return {
        "": verb + space + rest,
        "s": plural_en(verb) + space + rest,
        "ing": stem + "ing" + space + rest,
        "past": (past or regular) + space + rest,
    }


def _doubles(verb: str) -> bool:
    """Return whether a verb of one syllable doubles its last letter: knit, but not paint, row or listen."""
    syllables = sum(letter in VOWELS for letter in verb)
    return syllables == 1 and verb[-1] not in VOWELS + "wxy" and verb[-2] in VOWELS and len(verb) > 2


def phrase(entry: str) -> dict[str, str]:
    """Return the only form of a name or phrase."""
    return {"": entry}


FORMS: dict[tuple[str, str], Callable[[str], dict[str, str]]] = {
    ("pt", "noun"): noun_pt,
    ("pt", "adjective"): adjective_pt,
    ("pt", "verb"): verb_pt,
    ("pt", "phrase"): phrase,
    ("en", "noun"): noun_en,
    ("en", "adjective"): adjective_en,
    ("en", "verb"): verb_en,
    ("en", "phrase"): phrase,
}
"""How the forms of an entry are made, by language and kind of word."""
