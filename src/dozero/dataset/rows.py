"""Rows: whole documents packed into rows of T tokens, once before training."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dozero.dataset.stream import Collection, Ids, TokenStream

DOCUMENTS_AT_ONCE = 2**18  # bounds what packing holds besides its result
LONGEST_TURN = 2**16


@dataclass(frozen=True)
class Mix:
    """Which rows take turns: groups of rows, each in its own order, and how many of each make a turn."""

    sizes: tuple[int, ...]
    """Rows of each group; a group's rows stand together."""
    turn: tuple[int, ...]
    """Rows that each group gives in one turn."""


@dataclass(frozen=True)
class Rows:
    """Pieces of documents packed into rows: row r holds the pieces first[r] to first[r + 1]."""

    shards: tuple[Ids, ...]
    starts: NDArray[np.int64]
    """Position of each document."""
    tokens: int
    """Where the last document ends."""
    T: int
    piece_start: NDArray[np.int64]
    piece_length: NDArray[np.int32]
    first: NDArray[np.int64]
    mix: Mix
    gathered: dict[tuple[int, ...], Any] = field(default_factory=dict, repr=False, compare=False)
    """What batch.py gathered of them last; it goes with them, and the files that they map."""

    def __len__(self) -> int:
        return len(self.first) - 1

    @property
    def fill(self) -> float:
        """Share of the positions that hold a token."""
        return float(self.piece_length.sum(dtype=np.int64)) / (len(self) * self.T)


def pack_rows(stream: TokenStream, T: int, documents: int | None = None) -> Rows:
    """Pack the documents, or about so many, spread evenly over each collection, into rows of T tokens.

    None that fits is cut; longer ones are cut into pieces of T, of which only the first begins with END, so that END
    always means a beginning. Each piece goes to the fullest open row with room for it (best fit). Collections that
    are mixed by weight share no row. These are the pieces of the first epoch: see batch.gather_batch.
    """
    pieces: list[tuple[NDArray[np.int64], NDArray[np.int32]]] = []
    rows: list[NDArray[np.int32]] = []
    sizes: list[int] = []
    groups = _groups(stream.collections)
    for group in groups:
        open_rows = OpenRows(T)
        for chosen in _portions(stream, group, documents):
            pieces.append(_cut(stream, chosen, T))
            rows.append(np.array(open_rows.place(pieces[-1][1].tolist()), dtype=np.int32) + np.int32(sum(sizes)))
        sizes.append(open_rows.count)
    row = np.concatenate(rows)
    first = np.append(0, np.cumsum(np.bincount(row)))
    order = np.argsort(row, kind="stable")
    starts, lengths = (np.concatenate(column)[order] for column in zip(*pieces, strict=True))
    weights = [stream.collections[group[0]].weight if len(groups) > 1 else 1.0 for group in groups]
    return Rows(
        stream.shards, stream.starts, stream.tokens, T, starts, lengths, first, Mix(tuple(sizes), share_turn(weights))
    )


def _groups(collections: tuple[Collection, ...]) -> list[range]:
    """Return which collections are packed together: all that hold something, or by weight each on its own."""
    if all(c.weight == 1 for c in collections):
        return [range(len(collections))]
    return [range(i, i + 1) for i, c in enumerate(collections) if c.documents]


def _portions(stream: TokenStream, group: range, documents: int | None) -> Iterator[NDArray[np.int64]]:
    """Yield the numbers of the documents of a group that are packed, in portions.

    A part of them is spread evenly: collections may be sorted, as words are by how usual they are.
    """
    bounds = np.append(0, np.cumsum([c.documents for c in stream.collections]))
    for i in group:
        begin, end = bounds[i : i + 2].tolist()
        held = end - begin
        count = held if documents is None else min(held, -(-documents * held // stream.documents))
        for at in range(0, count, DOCUMENTS_AT_ONCE):
            yield begin + np.arange(at, min(at + DOCUMENTS_AT_ONCE, count)) * held // count


def _cut(stream: TokenStream, chosen: NDArray[np.int64], T: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return start and length of the pieces of some documents."""
    starts = np.asarray(stream.starts[chosen])
    last = stream.documents - 1
    ends = np.where(chosen == last, stream.tokens, stream.starts[np.minimum(chosen + 1, last)])
    lengths = ends - starts
    count = -(-lengths // T)
    offset = (np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)) * T
    piece_length = np.minimum(np.repeat(lengths, count) - offset, T)
    return np.repeat(starts, count) + offset, piece_length.astype(np.int32)


class OpenRows:
    """Rows of T tokens that still have room, found by how much."""

    def __init__(self, T: int) -> None:
        self.T, self.count = T, 0
        self._by_room = [array("i") for _ in range(T + 1)]
        self._has_room = 0  # bit s is set where _by_room[s] is not empty

    def place(self, lengths: list[int]) -> list[int]:
        """Return a row for each piece: the open row with the least room that is enough, else a new one."""
        by_room, has_room, placed = self._by_room, self._has_room, []
        for length in lengths:
            enough = has_room >> length
            if enough:
                room = length + (enough & -enough).bit_length() - 1
                row = by_room[room].pop()
                if not by_room[room]:
                    has_room ^= 1 << room
            else:
                row, room, self.count = self.count, self.T, self.count + 1
            placed.append(row)
            if room > length:
                by_room[room - length].append(row)
                has_room |= 1 << (room - length)
        self._has_room = has_room
        return placed


def count_epochs(stream: TokenStream, tokens: float) -> dict[str, float]:
    """Return how often the documents of each collection are seen in training of so many tokens."""
    held = [c for c in stream.collections if c.documents]
    if all(c.weight == 1 for c in stream.collections):
        return {c.name: tokens / stream.tokens for c in held}
    total = sum(c.weight for c in held)
    return {c.name: tokens * c.weight / total / c.tokens for c in held}


def share_turn(weights: list[float]) -> tuple[int, ...]:
    """Return the least whole numbers in the ratio of the weights, or the nearest that add up to about 65,536.

    >>> share_turn([0.5, 0.3, 0.2]), share_turn([2.0, 2.0])
    ((5, 3, 2), (1, 1))
    """
    exact = [Fraction(str(weight)) for weight in weights]  # as it was written: 0.1 is a tenth
    whole = [int(w * math.lcm(*(w.denominator for w in exact))) for w in exact]
    least = [w // math.gcd(*whole) for w in whole]
    if sum(least) <= LONGEST_TURN:
        return tuple(least)
    return tuple(max(1, round(w * LONGEST_TURN / sum(least))) for w in least)
