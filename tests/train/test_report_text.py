"""Every piece of the report stands in both languages, with the same places to fill."""

import ast
import inspect
import string

import pytest

from dozero.train import report
from dozero.train.report_text import MARKS, TEXT, report_text


def places(text):
    return sorted((name, spec) for _, name, spec, _ in string.Formatter().parse(text) if name is not None)


@pytest.mark.parametrize("key", TEXT)
def test_both_languages_have_the_same_places(key):
    portuguese, english = TEXT[key]
    assert portuguese.strip()
    assert english.strip()
    assert places(portuguese) == places(english)
    assert portuguese.startswith("#") == english.startswith("#")


def test_no_piece_is_there_that_the_report_does_not_use():
    tree = ast.parse(inspect.getsource(report))
    spoken = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    assert {key for key in TEXT if key not in spoken} == {"train_text", "heldout_text"}, "put together by split"
    assert MARKS.keys() == {"problem", "note", "well"}


def test_numbers_are_written_as_the_language_does():
    values = {"documents": 12345, "tokens": 1_000_000, "bytes": 7}
    assert report_text("pt", "amounts", **values) == "12.345 documentos, 1.000.000 tokens, 7 bytes"
    assert report_text("en", "amounts", **values) == "12,345 documents, 1,000,000 tokens, 7 bytes"
    assert report_text("pt", "seconds", seconds=float("nan")) == "não medido s"
