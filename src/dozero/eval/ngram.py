"""Counted baselines: the probability of a character given the n - 1 before it, by counting alone.

Interpolated Witten-Bell smoothing (Bell, Cleary & Witten 1990) backs off from n characters of context to none:

    P(c | h) = (count(h c) + kinds(h) * P(c | shorter h)) / (count(h) + kinds(h))

where kinds(h) is the number of different characters seen after h. It has nothing to tune.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dozero.dataset.shards import Dataset
from dozero.dataset.stream import TokenStream
from dozero.dataset.thin import thin_stream
from dozero.tokenizer.tokenizer import END_ID

Codes = NDArray[np.int64]
COUNTED_TOKENS, SCORED_TOKENS = 2_000_000, 200_000


@dataclass(frozen=True)
class Level:
    """Counts of one context length; contexts and context-plus-character pairs are numbers in base V, sorted."""

    contexts: Codes
    totals: NDArray[np.int64]
    kinds: NDArray[np.int64]
    pairs: Codes
    pair_counts: NDArray[np.int64]


@dataclass(frozen=True)
class NgramModel:
    """A counted model of order len(levels); order 0 is the uniform guess over `symbols` characters."""

    vocab_size: int
    symbols: int
    levels: tuple[Level, ...]


def count_ngrams(stream: TokenStream, order: int, vocab_size: int, symbols: int) -> NgramModel:
    """Count all contexts of up to order - 1 characters in the documents of a stream."""
    tokens, before = _targets_and_contexts(stream, max(order - 1, 0), vocab_size)
    levels = []
    for n in range(order):
        pairs, pair_counts = np.unique(before[n] * vocab_size + tokens, return_counts=True)
        contexts, index, kinds = np.unique(pairs // vocab_size, return_inverse=True, return_counts=True)
        totals = np.bincount(index, weights=pair_counts).astype(np.int64)
        levels.append(Level(contexts, totals, kinds, pairs, pair_counts))
    return NgramModel(vocab_size, symbols, tuple(levels))


def ngram_nats(model: NgramModel, stream: TokenStream) -> NDArray[np.float64]:
    """Return the negative log-probability of every target of the stream, in nats, in order."""
    tokens, before = _targets_and_contexts(stream, max(len(model.levels) - 1, 0), model.vocab_size)
    p = np.full(len(tokens), 1.0 / model.symbols)
    for level, context in zip(model.levels, before, strict=False):
        total, kinds = _look_up(level.contexts, context, level.totals), _look_up(level.contexts, context, level.kinds)
        seen = _look_up(level.pairs, context * model.vocab_size + tokens, level.pair_counts)
        known = total > 0
        p[known] = (seen + kinds * p)[known] / (total + kinds)[known]
    return -np.log(p)


def bits_per_character_ladder(dataset: Dataset, symbols: int) -> dict[str, float]:
    """Return the held-out bits per character of guesses that only count, the simplest first.

    They are counted on the training documents; `symbols` is the size of the alphabet, the end mark included.
    """
    ladder = {}
    for order, name in enumerate(("uniform", "unigram", "bigram", "trigram")):
        model = count_ngrams(dataset.train, order, dataset.vocab_size, symbols)
        nats = ngram_nats(model, dataset.heldout).sum()
        ladder[name] = float(nats) / math.log(2) / dataset.heldout.characters
    return ladder


def counted_bits_per_byte(train: TokenStream, heldout: TokenStream, vocab_size: int, order: int) -> float:
    """Return the held-out bits per byte of a guess that counts tokens in groups of `order`.

    A cheap measure of how hard a text is: seconds, as of long streams a sample is enough.
    """
    counted = thin_stream(train, COUNTED_TOKENS / train.tokens)
    scored = thin_stream(heldout, SCORED_TOKENS / heldout.tokens)
    nats = ngram_nats(count_ngrams(counted, order, vocab_size, vocab_size), scored)
    return float(nats.mean()) * heldout.tokens / heldout.bytes / math.log(2)


def _targets_and_contexts(stream: TokenStream, longest: int, vocab_size: int) -> tuple[Codes, list[Codes]]:
    """Return the target of each position, and for each length 0..longest the code of the tokens before it.

    A context never reaches into the document before: there it is filled with END.
    """
    ids = stream.ids.astype(np.int64)
    inputs, targets = ids[:-1], ids[1:]
    place = np.arange(len(inputs)) - np.repeat(stream.starts, np.diff(np.append(stream.starts, len(inputs))))
    contexts = [np.zeros(len(inputs), dtype=np.int64)]
    for back in range(longest):
        shifted = np.concatenate((np.full(back, END_ID), inputs))[: len(inputs)]
        token = np.where(place >= back, shifted, END_ID)
        contexts.append(contexts[-1] + token * vocab_size**back)
    return targets, contexts


def _look_up(keys: Codes, wanted: Codes, values: NDArray[Any]) -> NDArray[Any]:
    """Return the value beside each wanted key, 0 where it is absent."""
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], 0)
