"""Numbers are those of Python's own formats, with the marks of the language in their places."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozero.train.figures import shown


@given(value=st.floats(-1e9, 1e9), spec=st.sampled_from([",.3f", ".2%", ",.0f", ".4g"]))
def test_portuguese_swaps_the_marks_and_nothing_else(value, spec):
    portuguese, english = (format(shown(value, lang), spec) for lang in ("pt", "en"))
    assert english == format(value, spec)
    assert portuguese.replace(".", "!").replace(",", ".").replace("!", ",") == english


@pytest.mark.parametrize(("lang", "word"), [("pt", "não medido"), ("en", "not measured")])
def test_what_nobody_measured_is_said_so_in_any_format(lang, word):
    assert [f"{shown(math.nan, lang):{spec}}" for spec in (".3f", ",.0f", ".1%", "")] == [word] * 4


def test_text_stays_text():
    assert shown("2,048.5", "pt") == "2,048.5"
