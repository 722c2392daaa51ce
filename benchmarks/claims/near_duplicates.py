"""Are near-duplicates caught at the rate that bands and rows predict, and is anything else dropped?

Pairs of known Jaccard similarity are planted among unrelated documents: the second of a pair has words of the first
replaced, each far enough from the next to take just five shingles away, and the similarity is then computed from the
sets of shingles as it is defined. Unrelated documents are words of Portuguese drawn by their frequencies, so common
words meet in all of them. Whatever is dropped outside the pairs has its similarity computed with all that it could have
been mistaken for.

    python benchmarks/claims/near_duplicates.py [--quick]
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from claims.claim import Claim
from numpy.typing import NDArray

from dozero.corpus.duplicates import find_duplicates
from dozero.corpus.minhash import find_minima, hash_shingles, sign_many
from dozero.corpus.parts import Parts
from dozero.settings import CurateConfig

LEVELS = {0.5: (405, 27), 0.7: (425, 15), 0.8: (405, 9), 0.9: (380, 4)}
"""Shingles and replaced words that give each similarity: (n - 5k) / (n + 5k)."""
VOCABULARY = 50_000
SHINGLE = 5
UNRELATED_BELOW = 0.5
SIGNED_AT_ONCE = 1000


class Words:
    """Draws Portuguese words as often as people use them."""

    def __init__(self, seed: int) -> None:
        import wordfreq

        self.words = wordfreq.top_n_list("pt", VOCABULARY)
        shares = np.cumsum([wordfreq.word_frequency(word, "pt") for word in self.words])
        self.shares, self.random = shares / shares[-1], np.random.default_rng(seed)

    def draw(self, count: int) -> list[str]:
        """Return that many words."""
        return [self.words[i] for i in np.searchsorted(self.shares, self.random.random(count))]

    def pair(self, shingles: int, edits: int) -> tuple[str, str]:
        """Return two texts; the second has `edits` words replaced, five or more apart and from either end."""
        left = self.draw(shingles + SHINGLE - 1)
        free = shingles - (SHINGLE - 1) * edits
        places = np.sort(self.random.choice(free, edits, replace=False)) + (SHINGLE - 1) * np.arange(1, edits + 1)
        right = list(left)
        for place in places:
            right[place] = f"trocada{place}"
        return " ".join(left), " ".join(right)


def jaccard(left: str, right: str) -> float:
    """Return the similarity of two texts as it is defined: shingles in both over shingles in either."""
    a, b = (
        {tuple(words[i : i + SHINGLE]) for i in range(len(words) - SHINGLE + 1)}
        for words in (left.split(), right.split())
    )
    return len(a & b) / len(a | b)


def sign_texts(texts: Sequence[str], config: CurateConfig) -> NDArray[np.uint64]:
    """Return the signatures of texts, some at a time."""
    blocks = [texts[i : i + SIGNED_AT_ONCE] for i in range(0, len(texts), SIGNED_AT_ONCE)]
    return np.concatenate([sign_many([Parts(text) for text in block], config) for block in blocks])


def claim_catch_rates(pairs: int, config: CurateConfig) -> Iterator[Claim]:
    """Yield the share of planted pairs of each similarity that `find_duplicates` drops, against the prediction.

    A text may hold a shingle twice by chance, so the prediction is the mean of those for each pair's own similarity.
    """
    words = Words(seed=1)
    for level, (shingles, edits) in LEVELS.items():
        planted = [words.pair(shingles, edits) for _ in range(pairs)]
        similarity = np.array([jaccard(*pair) for pair in planted])
        assert abs(similarity.mean() - level) < 0.005, f"planted at {similarity.mean():.4f} instead of {level}"
        earliest = find_duplicates(sign_texts([text for pair in planted for text in pair], config))
        caught = float((earliest[1::2] == np.arange(0, 2 * pairs, 2)).mean())
        predicted = float((1 - (1 - similarity**config.rows) ** config.bands).mean())
        name = f"near-duplicates at Jaccard {level}: share caught (theirs: predicted by the bands)"
        holds = abs(caught - predicted) <= 0.03
        yield Claim(name, caught, predicted, caught / predicted, "within 0.03", holds)


def claim_no_false_drop(documents: int, config: CurateConfig) -> Claim:
    """Count dropped documents that share less than half of their shingles with each document of a common band."""
    words = Words(seed=2)
    texts = [" ".join(words.draw(int(n))) for n in words.random.integers(50, 600, documents)]
    signatures = sign_texts(texts, config)
    dropped = np.flatnonzero(find_duplicates(signatures) != np.arange(documents))
    unrelated = sum(_closest(texts, signatures, document) < UNRELATED_BELOW for document in dropped.tolist())
    name = f"unrelated documents dropped of {documents:,}"
    return Claim(name, unrelated, 0, 0.0, "0", unrelated == 0)


def _closest(texts: Sequence[str], signatures: NDArray[np.uint64], document: int) -> float:
    """Return the largest similarity of a document with those that share a band with it."""
    partners = np.flatnonzero((signatures == signatures[document]).any(axis=1))
    return max(jaccard(texts[document], texts[other]) for other in partners.tolist() if other != document)


def claim_estimate(pairs: int, count: int) -> Claim:
    """Compare the error of the similarity as the share of equal minima, ours and datasketch's, over the same pairs."""
    from datasketch import MinHash

    words = Words(seed=3)
    planted = [words.pair(*level) for level in LEVELS.values() for _ in range(pairs)]
    truth = np.array([jaccard(*pair) for pair in planted])
    ours, theirs = [], []
    for pair in planted:
        left, right = (find_minima(hash_shingles(Parts(text).word_hashes, SHINGLE), count) for text in pair)
        ours.append(float((left == right).mean()))
        first, second = (MinHash(num_perm=count) for _ in pair)
        for text, sketch in zip(pair, (first, second), strict=True):
            parts = text.split()
            runs = (" ".join(parts[i : i + SHINGLE]) for i in range(len(parts) - SHINGLE + 1))
            sketch.update_batch([run.encode() for run in runs])
        theirs.append(first.jaccard(second))
    error, their_error = (math.sqrt(np.mean((np.array(told) - truth) ** 2)) for told in (ours, theirs))
    name = f"Jaccard estimated from {count} minima: root mean square error (theirs: datasketch)"
    return Claim(name, error, their_error, error / their_error, "<= 1.15", error <= 1.15 * their_error)


def near_duplicates(quick: bool) -> Iterator[Claim]:
    """Yield all claims; `quick` plants a tenth."""
    config = CurateConfig(shingle_words=SHINGLE)
    share = 10 if quick else 1
    yield from claim_catch_rates(3000 // share, config)
    yield claim_no_false_drop(100_000 // share, config)
    yield claim_estimate(500 // share, config.bands * config.rows)
