"""English pairs: what makes the wrong one wrong is what its phenomenon says."""

from random import Random

import pytest

from dozero.eval.pairs_en import PHENOMENA_EN, regular_past
from dozero.stories.grammar import load_grammar

CLASSES = load_grammar("en").classes


def pairs(name, count=200):
    draw = Random(name)
    return [PHENOMENA_EN[name](CLASSES, draw) for _ in range(count)]


def differing(right, wrong):
    """The words in which two sentences of as many words differ."""
    told = [(a, b) for a, b in zip(right.split(), wrong.split(), strict=True) if a != b]
    assert len(told) == 1, (right, wrong)
    return told[0]


def test_an_stands_before_the_sound_of_a_vowel():
    seen = set()
    for right, wrong in pairs("article"):
        mine, theirs = differing(right, wrong)
        assert {mine, theirs} == {"a", "an"}
        after = right.split(f" {mine} ", 1)[1]
        assert (after[0] in "aeiou") is (mine == "an") or after.startswith(
            ("uni", "use", "uku", "hour", "honest", "eu", "one")
        )
        seen.add(mine)
    assert seen == {"a", "an"}


@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("irregular", "regular"), [("sang", "singed"), ("drew portraits", "drawed portraits"), ("swam", "swimmed")]
)
def test_an_irregular_past_is_told_from_the_regular_one(irregular, regular):
    act = next(e for e in CLASSES["act"].entries if e.forms["past"] == irregular)
    assert regular_past(act) == regular
    assert any(irregular in right and regular in wrong for right, wrong in pairs("irregular_past", 2000))


@pytest.mark.parametrize(
    ("name", "forms"),
    [
        ("agreement_be", {"is", "are", "was", "were"}),
        ("number_demonstrative", {"this", "these", "that", "those"}),
        ("possessive", {"his", "her"}),
        ("reflexive", {"himself", "herself"}),
        ("pronoun_case", {"him", "he", "me", "I", "them", "they", "us", "we"}),
    ],
)
def test_the_forms_that_contrast_are_those_of_the_phenomenon(name, forms):
    told = {word.rstrip(".?") for pair in pairs(name) for word in differing(*pair)}
    assert told == forms


def test_a_person_and_the_pronoun_agree():
    women = {e.forms[""] for e in CLASSES["person"].entries if e.feature == 1}
    for right, _ in pairs("reflexive"):
        assert ("herself" in right) is (right.split()[0] in women)
    for right, _ in pairs("pronoun"):
        assert right.endswith("she?") is (right.split()[0] in women)
