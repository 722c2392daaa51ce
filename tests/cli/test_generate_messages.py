"""Both languages of each message take the same values."""

import string

import pytest

from dozero.cli.generate_messages import GENERATE_MESSAGES, tell


def fields(text):
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("key", GENERATE_MESSAGES)
def test_both_languages_say_the_same(key):
    portuguese, english = GENERATE_MESSAGES[key]
    assert fields(portuguese) == fields(english)


def test_decimals_are_written_as_the_language_does():
    values = {"ours": 1.5, "exact": 1.25, "loss": 0.2}
    assert "1,5000" in tell("pt", "int8_costs", **values)
    assert "1.5000" in tell("en", "int8_costs", **values)
