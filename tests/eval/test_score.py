"""Likelihoods: against a loop over one token at a time, for any pair and any length."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dozero.errors import DataError
from dozero.eval import score
from dozero.eval.score import Pair, pair_of, perplexity, predict, score_texts, window_of, windows_of
from dozero.testing import random_language_model
from dozero.tokenizer.tokenizer import END_ID, train_bpe_tokenizer

MODEL = random_language_model(["coração mãe"], context=12)
LONGEST = 12
texts = st.text(MODEL.tokenizer.alphabet, max_size=20)


def one_at_a_time(model, context, continuation):
    """The log-probability of each token, by a pass of its own."""
    tokens, found = [*context, *continuation], []
    for at in range(len(context), len(tokens)):
        seen = torch.tensor([tokens[max(0, at - LONGEST) : at]])
        with torch.no_grad():
            found.append(model(seen)[0, -1].log_softmax(-1)[tokens[at]].item())
    return found


@given(texts, st.text(MODEL.tokenizer.alphabet, min_size=1, max_size=6))
def test_a_score_is_the_sum_over_its_tokens(context, continuation):
    pair = pair_of(MODEL.tokenizer, context, continuation)
    if len(pair.context) + len(pair.continuation) > LONGEST + 1:
        return
    (found,) = score_texts(MODEL, [(context, continuation)])
    expected = one_at_a_time(MODEL.model, pair.context, pair.continuation)
    assert found.logprob == pytest.approx(sum(expected), abs=1e-4)
    assert found.tokens == len(expected)
    assert found.bytes == len(continuation.encode())


@given(st.lists(st.tuples(texts, st.text(MODEL.tokenizer.alphabet, min_size=1, max_size=6)), min_size=1, max_size=9))
def test_many_pairs_score_as_each_alone_and_in_their_order(pairs):
    together = score_texts(MODEL, pairs)
    for pair, found in zip(pairs, together, strict=True):
        (alone,) = score_texts(MODEL, [pair])
        assert found.logprob == pytest.approx(alone.logprob, abs=1e-4)
        assert (found.tokens, found.bytes) == (alone.tokens, alone.bytes)


@given(texts, texts)
def test_context_and_continuation_together_are_the_whole_text(context, continuation):
    if not continuation:
        return
    pair = pair_of(MODEL.tokenizer, context, continuation)
    assert pair.context[0] == END_ID
    assert [*pair.context[1:], *pair.continuation] == MODEL.tokenizer.encode(context + continuation).tolist()


def test_spaces_at_the_end_of_a_context_go_with_the_answer():
    tokenizer = train_bpe_tokenizer(["sim não sim não sim"], 300)
    assert pair_of(tokenizer, "sim ", "não") == pair_of(tokenizer, "sim", " não")


def test_an_empty_answer_is_refused():
    with pytest.raises(DataError, match="an answer is empty"):
        pair_of(MODEL.tokenizer, "co", "")


@given(st.lists(st.integers(1, 5), max_size=40), st.integers(1, 9))
def test_windows_predict_each_token_once_with_as_much_before_it_as_fits(ids, longest):
    tokens = [END_ID, *ids]
    windows = windows_of(tokens, longest)
    assert [t for window in windows for t in window.targets] == ids
    end = 0
    for window in windows:
        end += len(window.targets)
        assert 0 < len(window.targets) <= len(window.inputs) <= longest
        assert list(window.inputs) == tokens[end - len(window.inputs) : end]
    if windows:
        assert len(windows[-1].inputs) == min(longest, len(ids))


def test_a_context_that_is_too_long_loses_its_beginning():
    window = window_of(Pair((0, *range(1, 30)), (40, 41)), longest=8)
    assert window.inputs == (*range(23, 30), 40)
    assert window.targets == (40, 41)


def test_greedy_is_the_likeliest_token_at_each_place():
    ids = [END_ID]
    for _ in range(4):
        with torch.no_grad():
            ids.append(int(MODEL.model(torch.tensor([ids]))[0, -1].argmax()))
    other = (ids[-1] + 1) % MODEL.tokenizer.vocab_size
    pairs = [Pair((END_ID,), tuple(ids[1:])), Pair((END_ID,), (*ids[1:-1], other))]
    found = predict(MODEL.model, [window_of(pair, LONGEST) for pair in pairs])
    assert found[0].correct.all()
    assert found[1].correct.tolist() == [True, True, True, False]
    assert (found[0].confidence == np.exp(found[0].logprobs)).all()


def test_how_many_share_a_pass_changes_nothing(monkeypatch):
    pairs = [("co" * n, "ração"[: n + 1]) for n in range(4)] * 3
    together = [s.logprob for s in score_texts(MODEL, pairs)]
    monkeypatch.setattr(score, "TOKENS_AT_ONCE", 1)
    assert [s.logprob for s in score_texts(MODEL, pairs)] == pytest.approx(together, abs=1e-4)


def test_perplexity_of_a_uniform_guess_is_the_number_of_choices():
    assert perplexity(10 * np.log(7), 10) == pytest.approx(7)
