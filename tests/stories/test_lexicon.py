"""Classes of words: who can hold what, and how it is written."""

import pytest

from dozero.stories.grammar import load_grammar
from dozero.stories.lexicon import read_class


def test_a_class_knows_its_entries_by_form_and_by_feature():
    toys = read_class("pt", "toy", {"kind": "noun", "m": "pião/piões, carrinho", "f": "bola"})
    assert toys.written["p"] == {"piões": {0}, "carrinhos": {1}, "bolas": {2}}
    assert toys.with_feature == {0: {0, 1}, 1: {2}}
    assert toys.lengths[""] == [4, 8]
    assert toys.everything == {0, 1, 2}


def test_the_same_word_twice_is_found():
    with pytest.raises(AssertionError, match="has twice"):
        read_class("pt", "toy", {"kind": "noun", "m": "pião, pião"})


def test_english_places_carry_their_preposition_and_plurals_theirs():
    places = read_class("en", "place", {"kind": "noun", "at": "pier", "in": "forest"})
    assert [entry.forms["in"] for entry in places.entries] == ["at the pier", "in the forest"]
    shoes = read_class("en", "thing", {"kind": "noun", "p": "sandals"})
    assert shoes.entries[0].forms["a"] == "some sandals"


@pytest.mark.parametrize("lang", ["pt", "en"])
def test_no_class_is_empty_and_people_are_of_both_genders_in_equal_parts(lang):
    grammar = load_grammar(lang)
    assert all(words.entries for words in grammar.classes.values())
    people = grammar.classes["person"].with_feature
    assert abs(len(people[0]) - len(people[1])) <= 0.1 * len(people[0])
