"""Keeps evaluation texts out of the corpus: a model that has read the questions is not measured by them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dozero.corpus.document import Document
from dozero.corpus.minhash import hash_shingles
from dozero.corpus.parts import Filter, Parts

CONTAMINATED = "evaluation text"
# As for GPT-3 (Brown et al. 2020, https://arxiv.org/abs/2005.14165, appendix C): runs of 13 words, or of as few as 8
# where the texts are shorter. Still fewer ("não sei") turn up anywhere by chance.
NGRAM_WORDS = 13
SHORTEST_RUN_WORDS = 8


def make_decontamination_filter(evaluation: Sequence[str], ngram: int = NGRAM_WORDS) -> Filter:
    """Return a filter that drops documents with `ngram` words in a row from an evaluation text.

    Case and punctuation do not count. An evaluation text of fewer words is looked for whole; one of fewer than
    SHORTEST_RUN_WORDS drops only a document that holds nothing else.
    """
    runs = _runs_by_length([Parts(text).word_hashes for text in evaluation], ngram)
    shortest = min(ngram, SHORTEST_RUN_WORDS)

    def judge(_: Document, parts: Parts) -> str | None:
        words = parts.word_hashes
        for length, known in runs.items():
            may_be_inside = shortest <= length <= words.size
            if (may_be_inside or length == words.size) and _share_any(hash_shingles(words, length), known):
                return CONTAMINATED
        return None

    return judge


def _runs_by_length(texts: Sequence[NDArray[np.uint64]], ngram: int) -> dict[int, NDArray[np.uint64]]:
    """Return the sorted hashes of the runs of words to look for, by their length in words."""
    runs: dict[int, list[NDArray[np.uint64]]] = {}
    for words in texts:
        if words.size:
            runs.setdefault(min(ngram, words.size), []).append(hash_shingles(words, ngram))
    return {length: np.unique(np.concatenate(hashes)) for length, hashes in sorted(runs.items())}


def _share_any(hashes: NDArray[np.uint64], known: NDArray[np.uint64]) -> bool:
    """Return whether a hash is among the known, which are sorted; np.isin would sort them again for each document."""
    at = np.searchsorted(known, hashes)
    return bool((known[np.minimum(at, known.size - 1)] == hashes).any())
