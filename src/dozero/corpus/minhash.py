"""MinHash signatures: documents that share most of their runs of words share a band of their signature.

The smallest hash over a set of shingles is equal for two sets with probability their Jaccard similarity s (Broder
1997, https://doi.org/10.1109/SEQUEN.1997.666900). Of bands x rows such minima, a document keeps one hash a band; two
documents meet in some band with probability 1 - (1 - s^rows)^bands (Leskovec, Rajaraman and Ullman, Mining of Massive
Datasets, ch. 3.4, http://www.mmds.org). The defaults, 14 bands of 8 rows over shingles of 5 words, are those of
FineWeb (Penedo et al. 2024, https://arxiv.org/abs/2406.17557, sec. 3.4).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from dozero.corpus.parts import Parts
from dozero.settings import CurateConfig

# A fixed seed for each use: signatures are compared between machines, years and corpora.
SHINGLE_SEED, MINIMA_SEED, BAND_SEED = 1, 2, 3
# 112 functions x 512 shingles x 8 bytes stay in a second-level cache of 1 MB.
SHINGLES_AT_ONCE = 512


def sign(parts: Parts, config: CurateConfig) -> NDArray[np.uint64]:
    """Return the signature of a text, one hash for each band.

    A text shorter than a shingle is one shingle; one without any word meets only its equals.
    """
    return sign_many([parts], config)[0]


def sign_many(texts: Sequence[Parts], config: CurateConfig) -> NDArray[np.uint64]:
    """Return the signatures of several texts, one row each."""
    count = config.bands * config.rows
    minima = np.empty((len(texts), count), np.uint64)
    for row, parts in zip(minima, texts, strict=True):
        shingles = hash_shingles(parts.word_hashes, config.shingle_words)
        row[:] = find_minima(shingles if shingles.size else hash_whole(parts.text), count)
    return hash_bands(minima, config.rows)


def hash_shingles(words: NDArray[np.uint64], length: int) -> NDArray[np.uint64]:
    """Return a hash for each run of `length` words; fewer words are one run, none are none.

    Each place in the run has a multiplier of its own, so the order of the words counts.
    """
    if not words.size:
        return words
    return mix(np.correlate(words, odd_numbers(min(length, words.size), SHINGLE_SEED), "valid"))


def hash_whole(text: str) -> NDArray[np.uint64]:
    """Return one hash, of the text as it is."""
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return np.array([int.from_bytes(digest, "little")], np.uint64)


def find_minima(shingles: NDArray[np.uint64], count: int) -> NDArray[np.uint64]:
    """Return the smallest hash of the shingles under each of `count` hash functions.

    The functions multiply by an odd number modulo 2^64 (Dietzfelbinger et al. 1997,
    https://doi.org/10.1006/jagm.1997.0873): each puts the shingles, whose hashes look random already, in an order of
    its own.
    """
    multipliers = odd_numbers(count, MINIMA_SEED)[:, None]
    minima = (multipliers * shingles[:SHINGLES_AT_ONCE]).min(axis=1)
    for start in range(SHINGLES_AT_ONCE, shingles.size, SHINGLES_AT_ONCE):
        np.minimum(minima, (multipliers * shingles[start : start + SHINGLES_AT_ONCE]).min(axis=1), out=minima)
    return minima


def hash_bands(minima: NDArray[np.uint64], rows: int) -> NDArray[np.uint64]:
    """Return one hash for each `rows` minima of a document; the order within a band counts."""
    return mix(minima.reshape(len(minima), minima.shape[1] // rows, rows) @ odd_numbers(rows, BAND_SEED))


def mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the values scrambled one to one, so that every bit of one decides every bit of its image.

    The finalizer of SplitMix64 (Steele, Lea and Flood 2014, https://doi.org/10.1145/2660193.2660195).
    """
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


@cache
def odd_numbers(count: int, seed: int) -> NDArray[np.uint64]:
    """Return `count` odd numbers of 64 bits by SplitMix64, the same on every machine."""
    steps = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return mix(steps + np.uint64(seed)) | np.uint64(1)
