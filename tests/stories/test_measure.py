"""Entropy, length and vocabulary by recursion are those of all stories written out, or of many."""

import math
import statistics

import pytest

from dozero.stories.grammar import load_grammar
from dozero.stories.measure import entropy_nats, expected_bytes, word_forms
from dozero.stories.notation import Text
from dozero.stories.reading import parse_story
from dozero.stories.writing import write_story


def test_entropy_of_derivations_is_that_of_all_written_out(toy, toy_stories):
    exact = -sum(p * math.log(p) for _, p in toy_stories)
    assert math.isclose(entropy_nats(toy), exact, rel_tol=1e-9)


def test_mean_length_is_that_of_all_written_out(toy, toy_stories):
    exact = sum(p * len(text.encode()) for text, p in toy_stories)
    assert math.isclose(expected_bytes(toy, toy.root), exact, rel_tol=1e-2)  # people who must differ shift it a little
    assert expected_bytes(toy, Text("coração")) == 9


@pytest.mark.no_cover
@pytest.mark.parametrize("lang", ["pt", "en"])
def test_many_stories_are_as_surprising_as_the_entropy_says(lang):
    grammar = load_grammar(lang)
    nats = [-parse_story(grammar, write_story(grammar, f"measure {n}")).log_probability for n in range(250)]
    error = statistics.stdev(nats) / math.sqrt(len(nats))
    assert abs(statistics.mean(nats) - entropy_nats(grammar)) < 4 * error
    assert error < 0.6


def test_forms_are_the_words_of_all_stories(toy, toy_stories):
    written = {word.strip(".?:") for text, _ in toy_stories for word in text.lower().split()}
    assert word_forms(toy) == written
