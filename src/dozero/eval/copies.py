"""The copy meter: which passages of some samples stand word for word in the text a model learned from?

The samples are indexed, all windows of 30 characters, and the training text is read past them once, a portion at a
time: memory is that of a portion, whatever the size of the corpus. A window is found by a hash that one pass of numpy
gives for every place of a portion; what is found is compared character by character and followed to its end, so that
no copy is missed and none is reported that is not there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from dozero.corpus.document import Document

SHORTEST = 30
CHARACTERS_AT_ONCE, PAIRS_AT_ONCE = 2_000_000, 1_000_000
AFTER_DOCUMENT, AFTER_SAMPLE = 0x110000, 0x110001  # no characters, and unlike each other: no copy reaches over an end
BASE = np.uint64(0x9E3779B97F4A7C15)
FILTER_BITS = 22
BLOCK = 32

Codes = NDArray[np.uint32]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Copy:
    """A passage of a sample that stands in a document of the training text, and cannot be made longer there."""

    sample: int
    start: int
    """Its place in the sample, in characters."""
    text: str
    document: Document
    """The first document that holds it."""


@dataclass(frozen=True)
class Copies:
    """What of some samples was copied."""

    copies: tuple[Copy, ...]
    """By sample and place; none lies within another."""
    whole: tuple[int, ...]
    """Samples that are a document of the training text from first to last."""
    documents: int
    """Documents compared with."""
    characters: int

    def copied_characters(self, samples: int) -> NDArray[np.float64]:
        """Return of each sample how many characters stand in a copy."""
        found = np.zeros(samples)
        end_of: dict[int, int] = {}
        for copy in self.copies:
            begin, end = max(copy.start, end_of.get(copy.sample, 0)), copy.start + len(copy.text)
            found[copy.sample] += max(0, end - begin)
            end_of[copy.sample] = max(end, end_of.get(copy.sample, 0))
        return found

    def longest(self, samples: int) -> NDArray[np.float64]:
        """Return of each sample the length of its longest copy, 0 where there is none."""
        found = np.zeros(samples)
        for copy in self.copies:
            found[copy.sample] = max(found[copy.sample], len(copy.text))
        return found


def find_copies(samples: Sequence[str], documents: Iterable[Document], shortest: int = SHORTEST) -> Copies:
    """Return every passage of `shortest` or more characters that a sample shares with a document.

    >>> seen = [Document("a b c d e", "one.txt", "CC0-1.0"), Document("x c d e f y", "two.txt", "own")]
    >>> found = find_copies(["z c d e f g"], seen, shortest=4)
    >>> [(copy.text, copy.document.source) for copy in found.copies]
    [(' c d e f ', 'two.txt')]
    """
    index = _Index(samples, shortest)
    wholes: dict[str, list[int]] = {}
    for i, sample in enumerate(samples):
        wholes.setdefault(sample.strip(), []).append(i)
    whole: set[int] = set()
    count = characters = 0
    for portion in _portions(documents):
        index.compare(portion)
        for document in portion:
            whole.update(wholes.get(document.text.strip(), ()))
        count += len(portion)
        characters += sum(len(document.text) for document in portion)
    return Copies(tuple(index.copies()), tuple(sorted(whole)), count, characters)


def _portions(documents: Iterable[Document]) -> Iterator[list[Document]]:
    """Yield the documents in portions of about so many characters."""
    portion: list[Document] = []
    size = 0
    for document in documents:
        portion.append(document)
        size += len(document.text)
        if size >= CHARACTERS_AT_ONCE:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


class _Index:
    """The samples, all of their windows by hash, and the longest copy found so far at each place."""

    def __init__(self, samples: Sequence[str], shortest: int) -> None:
        self.samples, self.shortest = samples, shortest
        self.codes, self.starts = _lay_out(samples, AFTER_SAMPLE)
        hashes = hash_windows(self.codes, shortest)
        ends = self.starts + np.fromiter(map(len, samples), dtype=np.int64, count=len(samples))
        inside = np.concatenate(
            [np.arange(s, max(s, e - shortest + 1)) for s, e in zip(self.starts, ends, strict=True)]
            or [np.empty(0, dtype=np.int64)]
        )
        order = np.argsort(hashes[inside], kind="stable")
        self.places: Places = inside[order]
        self.keys, self.first, self.count = np.unique(hashes[self.places], return_index=True, return_counts=True)
        self.may_hold = np.zeros(2**FILTER_BITS, dtype=np.bool_)
        self.may_hold[self.keys >> np.uint64(64 - FILTER_BITS)] = True
        self.length = np.zeros(len(self.codes), dtype=np.int64)
        self.held_by: dict[int, Document] = {}

    def compare(self, documents: Sequence[Document]) -> None:
        """Look for copies in some documents."""
        if not len(self.keys):
            return
        codes, starts = _lay_out([document.text for document in documents], AFTER_DOCUMENT)
        hashes = hash_windows(codes, self.shortest)
        found = np.flatnonzero(self.may_hold[hashes >> np.uint64(64 - FILTER_BITS)])
        key = np.minimum(np.searchsorted(self.keys, hashes[found]), len(self.keys) - 1)
        is_hit = self.keys[key] == hashes[found]
        found, key = found[is_hit], key[is_hit]
        portion = np.cumsum(self.count[key]) // PAIRS_AT_ONCE
        for n in np.unique(portion):
            self._follow(codes, starts, found[portion == n], key[portion == n], documents)

    def _follow(self, codes: Codes, starts: Places, found: Places, key: Places, documents: Sequence[Document]) -> None:
        """Follow each hit at every place of the samples with its window, and keep the longest of each place."""
        counts = self.count[key]
        there = np.repeat(found, counts)
        nth = np.arange(len(there)) - np.repeat(np.cumsum(counts) - counts, counts)
        here = self.places[np.repeat(self.first[key], counts) + nth]
        begins = codes[there - 1] != self.codes[here - 1]  # else the same copy begins one character sooner
        there, here = there[begins], here[begins]
        length = _common_length(codes, there, self.codes, here)
        better = (length >= self.shortest) & (length > self.length[here])
        there, here, length = there[better], here[better], length[better]
        order = np.lexsort((there, -length, here))
        chosen = order[np.unique(here[order], return_index=True)[1]]
        self.length[here[chosen]] = length[chosen]
        numbers = np.searchsorted(starts, there[chosen], side="right") - 1
        self.held_by.update(zip(here[chosen].tolist(), (documents[n] for n in numbers.tolist()), strict=True))

    def copies(self) -> Iterator[Copy]:
        """Yield the copies found, without those that lie within another."""
        sample_of = np.searchsorted(self.starts, np.arange(len(self.codes)), side="right") - 1
        reached = -1
        for place in np.flatnonzero(self.length).tolist():
            end = place + int(self.length[place])
            if end > reached:
                sample = int(sample_of[place])
                start = place - int(self.starts[sample])
                text = self.samples[sample][start : start + end - place]
                yield Copy(sample, start, text, self.held_by[place])
                reached = end


def _lay_out(texts: Sequence[str], mark: int) -> tuple[Codes, Places]:
    """Return the code points of the texts, a mark before the first and after each, and where each text begins."""
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)) + 1
    starts = np.cumsum(lengths) - lengths + 1
    joined = "\0".join(chain(("",), texts, ("\0" * (BLOCK - 1),)))
    codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).copy()
    codes[starts - 1] = mark
    codes[int(lengths.sum()) :] = mark
    return codes, starts


def hash_windows(codes: Codes, length: int) -> NDArray[np.uint64]:
    """Return a hash of the `length` codes from each place on, modulo 2^64; past the end it is that of fewer.

    Windows are put together from shorter ones, as a number is from powers of two: five steps for thirty characters.
    """
    power, size = codes.astype(np.uint64), 1  # hashes of windows of `size`
    result: NDArray[np.uint64] | None = None
    done = 0
    while True:
        if length & size:
            result = power.copy() if result is None else _joined(result, done, power, size)
            done += size
        if done == length:
            assert result is not None
            return result
        power, size = _joined(power, size, power, size), 2 * size


def _joined(left: NDArray[np.uint64], size: int, right: NDArray[np.uint64], more: int) -> NDArray[np.uint64]:
    """Return the hashes of windows that are one of `left`, so long, and then one of `right`."""
    joined = left * np.uint64(pow(int(BASE), more, 2**64))
    joined[:-size] += right[size:]
    return joined


def _common_length(a: Codes, a_place: Places, b: Codes, b_place: Places) -> Places:
    """Return how many codes of a and b are equal from each pair of places on; a mark differs from all of the other."""
    length = np.zeros(len(a_place), dtype=np.int64)
    active = np.arange(len(a_place))
    offsets = np.arange(BLOCK)
    while len(active):
        at = length[active, None] + offsets
        equal = a[a_place[active, None] + at] == b[b_place[active, None] + at]
        is_whole = equal.all(axis=1)
        length[active] += np.where(is_whole, BLOCK, equal.argmin(axis=1))
        active = active[is_whole]
    return length
