"""Repetition is counted as datatrove counts it; the bounds that spare the counting are never too low."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dozero.corpus import repetition
from dozero.corpus.parts import Parts
from dozero.corpus.repetition import (
    PORTUGUESE_REPETITION,
    RepetitionRules,
    RunHashes,
    count_all,
    count_repeated,
    count_top,
    judge_repetition,
)

WORDS = st.lists(st.sampled_from(["a", "rosa", "é", "uma", "ti", "at", "i", "x" * 12]), min_size=10, max_size=60)


@given(WORDS, st.integers(2, 10))
def test_runs_are_counted_as_datatrove_counts_them(words, n):
    pytest.importorskip("datatrove")
    from datatrove.pipeline.filters.gopher_repetition_filter import find_all_duplicate, find_top_duplicate, get_n_grams

    assert count_top(words, n) == find_top_duplicate(get_n_grams(words, n))
    assert count_all(words, n) == find_all_duplicate(words, n)


@given(st.lists(st.sampled_from(["um", "dois", "três", ""]), max_size=20))
def test_items_are_counted_as_datatrove_counts_them(items):
    pytest.importorskip("datatrove")
    from datatrove.pipeline.filters.gopher_repetition_filter import find_duplicates

    assert count_repeated(items) == find_duplicates(items)


@given(WORDS, st.integers(2, 10))
def test_a_bound_is_never_below_what_it_bounds(words, n):
    runs = RunHashes(words)
    assert runs.bound_top(n) >= count_top(words, n)
    assert runs.bound_all(n) >= count_all(words, n)


@settings(max_examples=150)
@given(
    st.lists(
        st.sampled_from(["uma rosa", "é uma", "rosa.\n", "flor\n\n", "o mar é azul", "x"]), min_size=1, max_size=80
    )
)
def test_verdicts_are_datatroves(pieces):
    pytest.importorskip("datatrove")
    from datatrove.data import Document
    from datatrove.pipeline.filters import GopherRepetitionFilter
    from datatrove.utils.word_tokenizers import WordTokenizer

    class OurWords(WordTokenizer):
        def word_tokenize(self, text):
            return Parts(text).words

        def sent_tokenize(self, text):
            raise NotImplementedError

        span_tokenize = sent_tokenize

    text = " ".join(pieces).strip()
    verdict = GopherRepetitionFilter(language=OurWords()).filter(Document(text=text, id="0"))
    assert (judge_repetition(Parts(text), RepetitionRules()) is None) == (verdict is True)


def test_each_kind_of_repetition_is_named():
    lines = [f"Cada{n} linha{n} tem{n} só{n} palavras{n} suas{n}." for n in range(30)]
    assert judge_repetition(Parts("\n".join(lines)), PORTUGUESE_REPETITION) is None
    same = "\n".join(lines[:10] * 3)
    assert judge_repetition(Parts(same), PORTUGUESE_REPETITION) == repetition.SAME_LINES
    assert judge_repetition(Parts("\n\n".join(lines[:10] * 3)), PORTUGUESE_REPETITION) == repetition.SAME_PARAGRAPHS
    assert judge_repetition(Parts("bom dia " * 50), PORTUGUESE_REPETITION) == repetition.TOP_RUN[2]
    run = "o rato roeu a roupa do rei de Roma e a rainha"
    long = " ".join(f"{run} x{n}y z{n}w v{n}u k{n}j q{n}p m{n}l" for n in range(12))
    assert judge_repetition(Parts(long), RepetitionRules(top=())) in repetition.SAME_RUNS.values()
    assert judge_repetition(Parts(""), RepetitionRules()) == repetition.EMPTY
