"""Minimal pairs in Portuguese: agreement in gender and number, accents, crase, contractions, pronouns."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from random import Random

from dozero.eval.pair_words import (
    FEMININE,
    Classes,
    PairMaker,
    contrast,
    is_feminine,
    is_singular,
    pick,
    two_people,
)
from dozero.stories.lexicon import Entry
from dozero.stories.notation import FORMS_BY_AGREEMENT

SEEN = ("viu", "comprou", "perdeu", "achou", "guardou", "escondeu", "procurou")
WENT = ("foi", "voltou", "chegou")
# Masculine and feminine, one and several.
ARTICLES = ("o", "a", "os", "as")
SOME = ("um", "uma", "uns", "umas")
OF = ("do", "da", "dos", "das")
IN = ("no", "na", "nos", "nas")
BY = ("pelo", "pela", "pelos", "pelas")
HIS = ("seu", "sua", "seus", "suas")


def _form(adjective: Entry, feature: int) -> str:
    return adjective.forms[FORMS_BY_AGREEMENT[feature]]


def _bends(entry: Entry) -> bool:
    """Return whether an adjective has another form for each gender."""
    return entry.forms[""] != entry.forms["f"]


def _article_gender(classes: Classes, draw: Random) -> tuple[str, str]:
    person, noun = pick(classes, "person", draw), pick(classes, draw.choice(("thing", "animal", "fruit")), draw)
    row, told = draw.choice((ARTICLES, SOME)), noun.forms[""]
    template = f"{person.forms['']} {draw.choice(SEEN)} * {told}."
    return contrast(template, row[noun.feature], row[noun.feature ^ FEMININE])


def _adjective_gender(classes: Classes, draw: Random) -> tuple[str, str]:
    person, noun = pick(classes, "person", draw), pick(classes, "thing", draw)
    adjective = pick(classes, draw.choice(("colour", "look")), draw, suits=_bends)
    template = f"{person.forms['']} {draw.choice(SEEN)} {ARTICLES[noun.feature]} {noun.forms['']} *."
    return contrast(template, _form(adjective, noun.feature), _form(adjective, noun.feature ^ FEMININE))


def _predicate_gender(classes: Classes, draw: Random) -> tuple[str, str]:
    person, adjective = pick(classes, "person", draw), pick(classes, draw.choice(("mood", "worry")), draw, suits=_bends)
    template = f"{person.forms['']} {draw.choice(('ficou', 'estava', 'voltou para casa'))} *."
    return contrast(template, _form(adjective, person.feature), _form(adjective, person.feature ^ FEMININE))


def _noun_number(classes: Classes, draw: Random) -> tuple[str, str]:
    """Return an article of several before several things, and before one."""
    person, noun = pick(classes, "person", draw), pick(classes, "thing", draw, suits=_counts)
    several = noun.feature + 2
    template = f"{person.forms['']} {draw.choice(SEEN)} {ARTICLES[several]} *."
    return contrast(template, noun.forms["p"], noun.forms[""])


def _adjective_number(classes: Classes, draw: Random) -> tuple[str, str]:
    person, noun = pick(classes, "person", draw), pick(classes, "thing", draw, suits=_counts)
    adjective = pick(classes, draw.choice(("colour", "look")), draw, suits=lambda a: a.forms[""] != a.forms["p"])
    several = noun.feature + 2
    template = f"{person.forms['']} {draw.choice(SEEN)} {ARTICLES[several]} {noun.forms['p']} *."
    return contrast(template, _form(adjective, several), _form(adjective, noun.feature))


def _counts(noun: Entry) -> bool:
    """Return whether several of a thing are written otherwise than one."""
    return is_singular(noun) and noun.forms["p"] != noun.forms[""]


def _verb_number(classes: Classes, draw: Random) -> tuple[str, str]:
    first, second = two_people(classes, draw)
    act = pick(classes, draw.choice(("act", "pastime")), draw)
    if draw.random() < 0.5:
        return contrast(f"{first} e {second} *.", act.forms["theypast"], act.forms["past"])
    return contrast(f"{first} *.", act.forms["past"], act.forms["theypast"])


def _accent(classes: Classes, draw: Random) -> tuple[str, str]:
    person = pick(classes, "person", draw).forms[""]
    name = draw.choice(("thing", "animal", "fruit", "place", "relative"))
    noun = pick(classes, name, draw, suits=lambda e: without_accents(e.forms[""]) != e.forms[""])
    word = noun.forms[""]
    template = f"{person} {draw.choice(SEEN)} {ARTICLES[noun.feature]} *."
    return contrast(template, word, without_accents(word))


def _accented_verb(classes: Classes, draw: Random) -> tuple[str, str]:
    """Return a form of ser or estar that without its accent is another word."""
    person, adjective = pick(classes, "person", draw), pick(classes, draw.choice(("trait", "mood")), draw)
    right, wrong = draw.choice((("é", "e"), ("está", "esta")))
    return contrast(f"{person.forms['']} * muito {_form(adjective, person.feature)}.", right, wrong)


def without_accents(word: str) -> str:
    """Return a word without its accents; ç stays, for it is a letter of its own.

    >>> without_accents("pião"), without_accents("praça")
    ('piao', 'praça')
    """
    return "".join(c if c in "çÇ" else unicodedata.normalize("NFD", c)[0] for c in word)


def _crase(classes: Classes, draw: Random) -> tuple[str, str]:
    """Return the article that melts with the preposition a: before a feminine place, and never before a verb."""
    person = pick(classes, "person", draw).forms[""]
    if draw.random() < 0.3:
        act = pick(classes, "act", draw).forms[""]
        return contrast(f"{person} {draw.choice(('começou', 'voltou', 'aprendeu'))} * {act}.", "a", "à")
    place = pick(classes, "place", draw)
    right, wrong = ("à", draw.choice(("a", "ao"))) if is_feminine(place) else ("ao", "à")
    return contrast(f"{person} {draw.choice(WENT)} * {place.forms['']}.", right, wrong)


def _contraction(classes: Classes, draw: Random) -> tuple[str, str]:
    """Return preposition and article in one word, and apart."""
    person, place = pick(classes, "person", draw).forms[""], pick(classes, "place", draw)
    begin, row, apart = draw.choice((("estava", IN, "em"), ("voltou", OF, "de"), ("passou", BY, "por")))
    right, wrong = row[place.feature], f"{apart} {ARTICLES[place.feature]}"
    return contrast(f"{person} {begin} * {place.forms['']}.", right, wrong)


def _reflexive(classes: Classes, draw: Random) -> tuple[str, str]:
    """Return mesmo or mesma, of the gender of who is meant."""
    person = pick(classes, "person", draw)
    row = ("mesmo", "mesma")
    verb = draw.choice(("falou consigo", "riu de si", "pensou em si", "cuidou de si", "escreveu para si"))
    return contrast(f"{person.forms['']} {verb} *.", row[person.feature], row[person.feature ^ FEMININE])


def _pronoun_case(classes: Classes, draw: Random) -> tuple[str, str]:
    """Return the form of a pronoun after a preposition, and the form that only a subject has."""
    person, noun = pick(classes, "person", draw).forms[""], pick(classes, "thing", draw)
    thing = f"{ARTICLES[noun.feature]} {noun.forms['']}"
    verb, right, wrong = draw.choice(
        (("deu", "para mim", "para eu"), ("dividiu", "comigo", "com eu"), ("ganhou", "de mim", "de eu"))
    )
    return contrast(f"{person} {verb} {thing} *.", right, wrong)


def _possessive(classes: Classes, draw: Random) -> tuple[str, str]:
    person, noun = pick(classes, "person", draw).forms[""], pick(classes, draw.choice(("thing", "relative")), draw)
    verb = draw.choice(("procurou", "encontrou", "viu"))
    return contrast(f"{person} {verb} * {noun.forms['']}.", HIS[noun.feature], HIS[noun.feature ^ FEMININE])


PHENOMENA_PT: Mapping[str, PairMaker] = {
    "gender_article": _article_gender,
    "gender_adjective": _adjective_gender,
    "gender_predicate": _predicate_gender,
    "number_noun": _noun_number,
    "number_adjective": _adjective_number,
    "number_verb": _verb_number,
    "accent_noun": _accent,
    "accent_verb": _accented_verb,
    "crase": _crase,
    "contraction": _contraction,
    "pronoun_case": _pronoun_case,
    "reflexive": _reflexive,
    "possessive": _possessive,
}
"""Makers of pairs by phenomenon."""
