"""Words for pairs: only those that suit, and a contrast in one place."""

from random import Random

import pytest

from dozero.eval.pair_words import contrast, is_feminine, is_plural, is_singular, pick, two_people
from dozero.stories.grammar import load_grammar

PT = load_grammar("pt").classes


def test_only_words_that_suit_are_drawn():
    draw = Random(0)
    assert all(is_feminine(pick(PT, "person", draw, suits=is_feminine)) for _ in range(50))
    assert all(" " not in pick(PT, "thing", draw, suits=is_singular).forms[""] for _ in range(50))
    assert not any(is_plural(pick(PT, "thing", draw, suits=is_singular)) for _ in range(50))


def test_two_people_are_two():
    draw = Random(1)
    assert all(len(set(two_people(PT, draw))) == 2 for _ in range(50))


def test_a_contrast_of_equals_is_a_mistake_of_ours():
    with pytest.raises(AssertionError, match="no contrast"):
        contrast("* casa", "a", "a")
