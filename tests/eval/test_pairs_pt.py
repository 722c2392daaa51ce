"""Portuguese pairs: what makes the wrong one wrong is what its phenomenon says."""

from random import Random

import pytest

from dozero.eval.pairs_pt import PHENOMENA_PT, without_accents
from dozero.stories.grammar import load_grammar

CLASSES = load_grammar("pt").classes
FEMININE_NOUNS = {
    e.forms[""] for c in ("thing", "place", "fruit", "animal", "relative") for e in CLASSES[c].entries if e.feature == 1
}
MASCULINE_NOUNS = {
    e.forms[""] for c in ("thing", "place", "fruit", "animal", "relative") for e in CLASSES[c].entries if e.feature == 0
}


def pairs(name, count=200):
    draw = Random(name)
    return [PHENOMENA_PT[name](CLASSES, draw) for _ in range(count)]


def differing(right, wrong):
    """The words in which two sentences differ."""
    a, b = right.split(), wrong.split()
    begin = next(i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y)
    end = next((i for i, (x, y) in enumerate(zip(a[::-1], b[::-1], strict=False)) if x != y), 0)
    return a[begin : len(a) - end], b[begin : len(b) - end]


def test_articles_go_with_the_gender_of_their_noun():
    singular = {"o": 0, "a": 1, "um": 0, "uma": 1}
    seen = set()
    for right, wrong in pairs("gender_article"):
        (mine,), (theirs,) = differing(right, wrong)
        assert {mine, theirs} in ({"o", "a"}, {"um", "uma"}, {"os", "as"}, {"uns", "umas"})
        if mine in singular:
            noun = right.split(f" {mine} ", 1)[1].rstrip(".")
            assert noun in (FEMININE_NOUNS if singular[mine] else MASCULINE_NOUNS)
            seen.add(mine)
    assert seen == set(singular)


def test_crase_stands_before_feminine_places_and_never_before_a_verb():
    verbs = {e.forms[""] for e in CLASSES["act"].entries}
    kinds = set()
    for right, _ in pairs("crase"):
        before, after = right.rstrip(".").split(" ", 2)[1], right.rstrip(".")
        for mark, nouns in ((" à ", FEMININE_NOUNS), (" ao ", MASCULINE_NOUNS), (" a ", verbs)):
            if mark in after:
                assert after.split(mark, 1)[1] in nouns, right
                kinds.add(mark)
        assert before
    assert kinds == {" à ", " ao ", " a "}


def test_accents_are_taken_away_and_nothing_else():
    for right, wrong in pairs("accent_noun"):
        assert wrong != right
        assert without_accents(right.rsplit(" ", 1)[1]) in wrong or without_accents(right) == without_accents(wrong)


@pytest.mark.parametrize("name", ["contraction"])
def test_contractions_are_apart_in_the_wrong_one(name):
    apart = {"no": "em o", "na": "em a", "do": "de o", "da": "de a", "pelo": "por o", "pela": "por a"}
    for right, wrong in pairs(name):
        (mine,), theirs = differing(right, wrong)
        assert apart[mine] == " ".join(theirs)


def test_a_verb_has_the_number_of_its_subject():
    for right, wrong in pairs("number_verb"):
        (mine,), (theirs,) = differing(right, wrong)
        several = " e " in right.split(mine)[0]
        assert mine.rstrip(".").endswith("ram") is several
        assert theirs.rstrip(".").endswith("ram") is not several
