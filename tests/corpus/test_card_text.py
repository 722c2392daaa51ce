"""Every sentence of the data card stands in both languages, with the same places to fill, and is used."""

import ast
import string
from pathlib import Path

import pytest

from dozero.corpus import card
from dozero.corpus.card_text import FILTERS as FILTER_TEXTS
from dozero.corpus.card_text import TEXT
from dozero.corpus.rules import FILTERS

BY_FAMILY = ("personal_",)


def places(text):
    return sorted(name for _, name, _, _ in string.Formatter().parse(text) if name is not None)


@pytest.mark.parametrize("key", TEXT)
def test_both_languages_have_the_same_places(key):
    portuguese, english = TEXT[key]
    assert portuguese.strip()
    assert english.strip()
    assert places(portuguese) == places(english)


def test_no_sentence_is_there_that_the_card_does_not_say():
    tree = ast.parse(Path(card.__file__).read_text(encoding="utf-8"))
    said = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    assert not [key for key in TEXT if key not in said and not key.startswith(BY_FAMILY)]


def test_every_filter_there_is_is_described_and_no_other():
    assert set(FILTER_TEXTS) == set(FILTERS)
    assert all(portuguese and english for portuguese, english, _ in FILTER_TEXTS.values())
