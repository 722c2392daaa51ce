"""Counted baselines, against Witten-Bell written out with dictionaries."""

import itertools
import math
from collections import Counter, defaultdict

import numpy as np
import pytest
import wordfreq
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dozero.dataset.stream import encode_documents
from dozero.eval.ngram import bits_per_character_ladder, count_ngrams, ngram_nats
from dozero.testing import tiny_dataset
from dozero.tokenizer.tokenizer import END_ID, train_char_tokenizer

LETTERS = "abç"
TOKENIZER = train_char_tokenizer([LETTERS])
SYMBOLS = len(LETTERS) + 1
texts = st.lists(st.text(LETTERS, min_size=1, max_size=6), min_size=1, max_size=8)
orders = st.integers(0, 5)


def symbols_of(text):
    return [*TOKENIZER.encode(text).tolist(), END_ID]


class SlowWittenBell:
    """P(c | h) = (count(h c) + kinds(h) P(c | shorter h)) / (count(h) + kinds(h)), one dictionary a length of h."""

    def __init__(self, documents, order):
        self.after = [defaultdict(Counter) for _ in range(order)]
        for text in documents:
            history = [END_ID] * order
            for symbol in symbols_of(text):
                for n, after in enumerate(self.after):
                    after[tuple(history[len(history) - n :])][symbol] += 1
                history.append(symbol)

    def probability(self, symbol, history):
        p = 1 / SYMBOLS
        for n, after in enumerate(self.after):
            seen = after.get(tuple(history[len(history) - n :]))
            if seen:
                p = (seen[symbol] + len(seen) * p) / (seen.total() + len(seen))
        return p

    def nats(self, documents):
        for text in documents:
            history = [END_ID] * len(self.after)
            for symbol in symbols_of(text):
                yield -math.log(self.probability(symbol, history))
                history.append(symbol)


def counted(documents, order):
    return count_ngrams(encode_documents(documents, TOKENIZER), order, TOKENIZER.vocab_size, SYMBOLS)


@given(texts, texts, orders)
@example(["a"], ["a"], 5)  # a context longer than all of the text
def test_it_is_interpolated_witten_bell(train, heldout, order):
    nats = ngram_nats(counted(train, order), encode_documents(heldout, TOKENIZER))
    np.testing.assert_allclose(nats, list(SlowWittenBell(train, order).nats(heldout)), rtol=1e-12)


@given(texts, st.text(LETTERS, max_size=6), orders)
def test_probabilities_after_any_context_sum_to_one(train, context, order):
    continuations = [context + letter for letter in LETTERS] + ([context] if context else [])
    stream = encode_documents(continuations, TOKENIZER)
    p = np.exp(-ngram_nats(counted(train, order), stream))[stream.starts + len(context)]
    ends_at_once = 0.0 if context else SlowWittenBell(train, order).probability(END_ID, [END_ID] * order)
    assert p.sum() + ends_at_once == pytest.approx(1, rel=1e-12)


@given(texts, texts, texts, orders)
def test_a_document_is_judged_alone(train, before, heldout, order):
    """What stands before it in the stream changes nothing, in counting as in judging."""
    model = counted(train, order)
    alone = ngram_nats(model, encode_documents(heldout, TOKENIZER))
    after_others = ngram_nats(model, encode_documents(before + heldout, TOKENIZER))
    np.testing.assert_array_equal(after_others[-len(alone) :], alone)
    reordered = ngram_nats(counted(train[::-1], order), encode_documents(heldout, TOKENIZER))
    np.testing.assert_allclose(reordered, alone, rtol=1e-12)


def test_by_hand():
    """After counting "ab": a, b and the end once each. P(a) = (1 + 3/4) / (3 + 3); after the start (1 + P(a)) / (1 + 1)."""
    stream = encode_documents(["ab"], TOKENIZER)
    assert math.exp(-ngram_nats(counted(["ab"], 1), stream)[0]) == pytest.approx(7 / 24)
    assert math.exp(-ngram_nats(counted(["ab"], 2), stream)[0]) == pytest.approx((1 + 7 / 24) / 2)


@settings(max_examples=10)
@given(texts)
def test_order_zero_is_the_uniform_guess(heldout):
    nats = ngram_nats(counted(["a"], 0), encode_documents(heldout, TOKENIZER))
    np.testing.assert_allclose(nats, math.log(SYMBOLS))


def test_on_real_words_more_context_is_better_and_the_ladder_starts_at_log2_of_the_alphabet(tmp_path):
    words = [w for w in wordfreq.top_n_list("pt", 6000) if w.isalpha()]
    dataset, tokenizer = tiny_dataset(tmp_path / "dataset", words)
    symbols = len(tokenizer.alphabet) + 1
    ladder = bits_per_character_ladder(dataset, symbols)
    assert list(ladder) == ["uniform", "unigram", "bigram", "trigram"]
    assert ladder["uniform"] == pytest.approx(math.log2(symbols))
    assert all(worse > better for worse, better in itertools.pairwise(ladder.values()))
    assert ladder["trigram"] < 0.8 * ladder["unigram"]
