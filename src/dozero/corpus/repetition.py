"""Text that repeats itself: the rules of Gopher (Rae et al. 2021, https://arxiv.org/abs/2112.11446, table A1).

A line, a paragraph or a run of n words that comes again says nothing new, and models learn to repeat it. Definitions
are those of datatrove, verdict for verdict: `count_repeated`, `count_top` and `count_all` say what is counted. The last
two are slow, so each run of words gets a hash first, by which numpy bounds from above what they could return; they are
called only for texts whose bound is above the threshold, a few in a hundred.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dozero.corpus.parts import Parts

LINE_BREAK = re.compile(r"\n+")
# Odd, so that no power of it loses bits modulo 2^64.
BASE = 0x9E3779B97F4A7C15
EMPTY = "gopher: empty"
SAME_PARAGRAPHS = "gopher: repeated paragraphs"
SAME_LINES = "gopher: repeated lines"
TOP_RUN = {n: f"gopher: one run of {n} words too often" for n in (2, 3, 4)}
SAME_RUNS = {n: f"gopher: repeated runs of {n} words" for n in (5, 6, 7, 8, 9, 10)}


@dataclass(frozen=True)
class RepetitionRules:
    """Largest shares of a text that may be repetition; the defaults are Gopher's."""

    paragraphs: float = 0.3
    """Paragraphs that came before, of all paragraphs."""
    paragraph_characters: float = 0.2
    """Characters in them, of all characters."""
    lines: float = 0.3
    """Lines that came before, of all lines."""
    line_characters: float = 0.2
    """Characters in them, of all characters."""
    top: tuple[tuple[int, float], ...] = ((2, 0.20), (3, 0.18), (4, 0.16))
    """For n words: characters in the most frequent run of n words."""
    runs: tuple[tuple[int, float], ...] = ((5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.10))
    """For n words: characters in runs of n words that came before."""


# FineWeb2 (Penedo et al. 2025, https://arxiv.org/abs/2506.20920), configs/por_Latn.yml. It switches off the rules on
# paragraphs and on characters of lines, because the pages it reads have no paragraphs; ours may, so they stay.
PORTUGUESE_REPETITION = RepetitionRules(
    lines=0.325,
    top=((2, 0.093), (3, 0.117), (4, 0.139)),
    runs=((5, 0.19), (6, 0.172), (7, 0.154), (8, 0.142), (9, 0.131), (10, 0.12)),
)


def judge_repetition(parts: Parts, rules: RepetitionRules) -> str | None:
    """Return why a text repeats itself too much, or None."""
    text = parts.text
    if not text:
        return EMPTY
    number, characters = count_repeated(parts.paragraphs)
    if number / len(parts.paragraphs) > rules.paragraphs or characters / len(text) > rules.paragraph_characters:
        return SAME_PARAGRAPHS
    lines = LINE_BREAK.split(text)
    number, characters = count_repeated(lines)
    if number / len(lines) > rules.lines or characters / len(text) > rules.line_characters:
        return SAME_LINES
    return _judge_runs(parts, rules)


def _judge_runs(parts: Parts, rules: RepetitionRules) -> str | None:
    words, total = parts.words, len(parts.text)
    runs = RunHashes(words)
    for n, share in rules.top:
        if len(words) >= n and runs.bound_top(n) / total > share and count_top(words, n) / total > share:
            return TOP_RUN[n]
    for n, share in rules.runs:
        if runs.bound_all(n) / total > share and count_all(words, n) / total > share:
            return SAME_RUNS[n]
    return None


def count_repeated(items: Sequence[str]) -> tuple[int, int]:
    """Return how many items equal an earlier one, and the characters in them.

    >>> count_repeated(["uma", "duas", "uma", "uma"])
    (2, 6)
    """
    distinct = set(items)
    return len(items) - len(distinct), sum(map(len, items)) - sum(map(len, distinct))


def count_top(words: Sequence[str], n: int) -> int:
    """Return the characters in the most frequent run of n words, spaces included, times how often it comes.

    Of runs that come equally often the first is taken.

    >>> count_top("a rosa é uma rosa é uma rosa".split(), 3)
    20
    """
    runs = Counter(zip(*(words[i:] for i in range(n)), strict=False))
    run, times = runs.most_common(1)[0]
    return len(" ".join(run)) * times


def count_all(words: Sequence[str], n: int) -> int:
    """Return the characters, spaces left out, in runs of n words that came before; runs counted do not overlap.

    Runs are compared without the spaces, as datatrove does: `a ti` equals `at i`.

    >>> count_all("a rosa é uma rosa é uma rosa".split(), 2)
    12
    """
    seen: set[str] = set()
    characters = i = 0
    while i <= len(words) - n:
        run = "".join(words[i : i + n])
        if run in seen:
            characters += len(run)
            i += n
        else:
            seen.add(run)
            i += 1
    return characters


class RunHashes:
    """Hashes of all runs of words of a text, for bounds on what its repetition can amount to.

    A run's hash is the polynomial of its characters without spaces: equal runs have equal hashes, wherever they stand
    and however their characters are cut into words. Unequal ones may collide; that only loosens a bound.
    """

    def __init__(self, words: Sequence[str]) -> None:
        lengths = np.fromiter(map(len, words), np.int64, len(words))
        self.starts = np.concatenate([[0], np.cumsum(lengths)])
        codes = np.frombuffer("".join(words).encode("utf-32-le", "surrogatepass"), np.uint32)
        powers = np.cumprod(np.full(len(codes) + 1, BASE, np.uint64))
        sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(codes * powers[:-1])])
        self.sums = sums[self.starts]
        # Lifts the hash of a run to the power that it would have at the end of the text.
        self.lifts = powers[len(codes) - self.starts]

    def bound_top(self, n: int) -> int:
        """Return a number that `count_top` does not exceed."""
        hashes = self._hash_runs(n)
        edges = np.flatnonzero(hashes[1:] != hashes[:-1])
        times = int(np.diff(edges, prepend=-1, append=len(hashes) - 1).max())
        return times * (self._longest(n) + n - 1)

    def bound_all(self, n: int) -> int:
        """Return a number that `count_all` does not exceed."""
        hashes = self._hash_runs(n)
        again = int(np.count_nonzero(hashes[1:] == hashes[:-1]))
        return again * self._longest(n) if again else 0

    def _hash_runs(self, n: int) -> NDArray[np.uint64]:
        """Return the hashes of all runs of n words, sorted."""
        return np.sort((self.sums[n:] - self.sums[:-n]) * self.lifts[:-n])

    def _longest(self, n: int) -> int:
        return int((self.starts[n:] - self.starts[:-n]).max())
