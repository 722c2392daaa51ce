"""Filters are chosen by name, in order, and every reason they give can be explained in both languages."""

import pytest

from dozero.corpus import quality, repetition
from dozero.corpus.document import Document
from dozero.corpus.parts import Parts
from dozero.corpus.rules import FILTERS, REASONS, WRONG_LANGUAGE, make_filters
from dozero.errors import ConfigError
from dozero.settings import CurateConfig

ENGLISH = "The house by the river had been empty for years, and nobody in the village could say who owned it. " * 3
PORTUGUESE = "A casa perto do rio estava vazia havia anos, e ninguém na vila sabia dizer de quem ela era. " * 3


def judge(text, lang="", **settings):
    document, parts = Document(text, "a.txt", "MIT", lang), Parts(text)
    return [(name, rule(document, parts)) for name, rule in make_filters(CurateConfig(**settings))]


def test_filters_stand_in_the_order_of_the_settings():
    names = ("fineweb", "length", "c4")
    assert [name for name, _ in judge(PORTUGUESE, filters=names)] == list(names)
    assert {name for name, _ in judge(PORTUGUESE, languages=("pt",))} == set(FILTERS) == set(CurateConfig().filters)


def test_a_misspelt_filter_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="did you mean gopher_quality"):
        make_filters(CurateConfig(filters=("gopher_qualty",)))


def test_languages_not_asked_for_are_dropped_and_none_asked_for_keeps_all():
    assert judge(ENGLISH, filters=("language",), languages=("pt",)) == [("language", WRONG_LANGUAGE)]
    assert judge(PORTUGUESE, filters=("language",), languages=("pt", "es")) == [("language", None)]
    assert judge(ENGLISH, filters=("language",)) == []


def test_thresholds_go_by_the_language_of_the_document():
    text = "uma palavra " * 60  # no English stop word
    assert judge(text, "en", filters=("gopher_quality",)) == [("gopher_quality", quality.FEW_STOP_WORDS)]
    assert judge(text + "que de e o a", "pt", filters=("gopher_quality",)) == [("gopher_quality", None)]
    assert judge(text, "xx", filters=("gopher_quality",)) == [("gopher_quality", None)]


def test_every_reason_of_the_rules_is_explained_in_both_languages():
    constants = [
        v for m in (quality, repetition) for k, v in vars(m).items() if k.isupper() and isinstance(v, str) and ": " in v
    ]
    reasons = {*constants, *repetition.TOP_RUN.values(), *repetition.SAME_RUNS.values()}
    assert len(reasons) > 25
    assert reasons <= set(REASONS)
    assert all(pt and en and pt != en for pt, en in REASONS.values())
    assert not any(
        digit in reason
        for reason in REASONS
        for digit in "0123456789"
        if "runs of" not in reason and "run of" not in reason and reason[:2] != "c4"
    )
