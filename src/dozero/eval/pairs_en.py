"""Minimal pairs in English: agreement, a and an, irregular forms, pronouns."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from dozero.eval.pair_words import FEMININE, Classes, PairMaker, contrast, is_singular, pick, two_people
from dozero.stories.lexicon import Entry
from dozero.stories.morphology import plural_en, verb_en

SEEN = ("saw", "found", "lost", "bought", "hid", "liked", "wanted")
NUMBERS = ("two", "three", "four", "five", "six", "ten")


def _name(classes: Classes, draw: Random) -> str:
    return pick(classes, "person", draw).forms[""]


def _counts(noun: Entry) -> bool:
    """Return whether several of a thing are written otherwise than one."""
    return is_singular(noun) and noun.forms["p"] != noun.forms[""]


def _subject_verb(classes: Classes, draw: Random) -> tuple[str, str]:
    act = pick(classes, "act", draw)
    when = draw.choice(("every day", "on Sundays", "all day long"))
    if draw.random() < 0.5:
        return contrast(f"{_name(classes, draw)} * {when}.", act.forms["s"], act.forms[""])
    first, second = two_people(classes, draw)
    return contrast(f"{first} and {second} * {when}.", act.forms[""], act.forms["s"])


def _subject_be(classes: Classes, draw: Random) -> tuple[str, str]:
    noun, colour = pick(classes, "thing", draw, suits=_counts), pick(classes, "colour", draw).forms[""]
    is_many = draw.random() < 0.5
    verbs = draw.choice((("is", "are"), ("was", "were")))
    return contrast(f"The {noun.forms['p' if is_many else '']} * {colour}.", verbs[is_many], verbs[not is_many])


def _noun_number(classes: Classes, draw: Random) -> tuple[str, str]:
    noun = pick(classes, draw.choice(("thing", "fruit", "animal")), draw, suits=_counts)
    begin = f"{_name(classes, draw)} {draw.choice(SEEN)} {draw.choice(NUMBERS)} *."
    return contrast(begin, noun.forms["p"], noun.forms[""])


def _demonstrative(classes: Classes, draw: Random) -> tuple[str, str]:
    noun, is_many = pick(classes, "thing", draw, suits=_counts), draw.random() < 0.5
    pair = draw.choice((("this", "these"), ("that", "those")))
    template = f"{_name(classes, draw)} {draw.choice(SEEN)} * {noun.forms['p' if is_many else '']}."
    return contrast(template, pair[is_many], pair[not is_many])


def _article(classes: Classes, draw: Random) -> tuple[str, str]:
    """Return a or an before a word by its sound."""
    name = draw.choice(("thing", "fruit", "animal", "job", "trait"))
    # Half of them begin with a vowel, which few words do.
    wanted = draw.choice(("a", "an"))
    entry = pick(classes, name, draw, suits=lambda e: e.forms.get("a", "").split(" ")[0] == wanted)
    word, other = entry.forms[""], "an" if wanted == "a" else "a"
    if name == "trait":
        word += f" {pick(classes, 'job', draw).forms['']}"
    begin = f"{_name(classes, draw)} {'was' if name in ('job', 'trait') else draw.choice(SEEN)}"
    return contrast(f"{begin} * {word}.", wanted, other)


def _irregular_past(classes: Classes, draw: Random) -> tuple[str, str]:
    act = pick(classes, draw.choice(("act", "pastime")), draw, suits=lambda e: regular_past(e) != e.forms["past"])
    begin = draw.choice(("Yesterday", "Last week", "On Monday"))
    return contrast(f"{begin}, {_name(classes, draw)} *.", act.forms["past"], regular_past(act))


def regular_past(act: Entry) -> str:
    """Return the past of a verb as if it were regular."""
    return verb_en(act.forms[""])["past"]


def _irregular_plural(classes: Classes, draw: Random) -> tuple[str, str]:
    names = ("thing", "animal", "pet", "vegetable")
    odd = [
        e for name in names for e in classes[name].entries if is_singular(e) and e.forms["p"] != plural_en(e.forms[""])
    ]
    noun = draw.choice(odd)
    begin = f"{_name(classes, draw)} {draw.choice(SEEN)} {draw.choice(NUMBERS)} *."
    return contrast(begin, noun.forms["p"], plural_en(noun.forms[""]))


def _possessive(classes: Classes, draw: Random) -> tuple[str, str]:
    """Return the possessive of a person who can only mean something of their own."""
    person, row = pick(classes, "person", draw), ("his", "her")
    own = draw.choice(("shrugged * shoulders", "held * breath", "lost * temper", "made up * mind", "did * best"))
    return contrast(f"{person.forms['']} {own}.", row[person.feature], row[person.feature ^ FEMININE])


def _pronoun(classes: Classes, draw: Random) -> tuple[str, str]:
    """Return the pronoun of a person in a question that has to come back to them."""
    person, feeling = pick(classes, "person", draw), pick(classes, draw.choice(("worry", "mood")), draw).forms[""]
    row = ("he", "she")
    return contrast(f"{person.forms['']} was {feeling}, wasn't *?", row[person.feature], row[person.feature ^ FEMININE])


def _reflexive(classes: Classes, draw: Random) -> tuple[str, str]:
    person = pick(classes, "person", draw)
    row = ("himself", "herself")
    verb = draw.choice(
        ("looked at * in the mirror", "laughed at *", "talked to *", "made breakfast for *", "was proud of *")
    )
    return contrast(f"{person.forms['']} {verb}.", row[person.feature], row[person.feature ^ FEMININE])


def _pronoun_case(classes: Classes, draw: Random) -> tuple[str, str]:
    """Return the form of a pronoun after a verb or a preposition, and the form that only a subject has."""
    right, wrong = draw.choice((("him", "he"), ("me", "I"), ("them", "they"), ("us", "we")))
    place = pick(classes, "place", draw).forms["in"]
    verb = draw.choice(("saw", "met", "waited for", "talked to", "walked with"))
    return contrast(f"{_name(classes, draw)} {verb} * {place}.", right, wrong)


def _verb_form(classes: Classes, draw: Random) -> tuple[str, str]:
    act, name = pick(classes, "act", draw), _name(classes, draw)
    if draw.random() < 0.5:
        return contrast(f"{name} {draw.choice(('wanted', 'began', 'learned'))} to *.", act.forms[""], act.forms["ing"])
    return contrast(f"{name} was *.", act.forms["ing"], act.forms[""])


PHENOMENA_EN: Mapping[str, PairMaker] = {
    "agreement_verb": _subject_verb,
    "agreement_be": _subject_be,
    "number_noun": _noun_number,
    "number_demonstrative": _demonstrative,
    "article": _article,
    "irregular_past": _irregular_past,
    "irregular_plural": _irregular_plural,
    "possessive": _possessive,
    "pronoun": _pronoun,
    "reflexive": _reflexive,
    "pronoun_case": _pronoun_case,
    "verb_form": _verb_form,
}
"""Makers of pairs by phenomenon."""
