"""Rows and batches: whole documents packed into rows of T tokens, and which rows make up which step.

Nothing here remembers anything: the batch of a step follows from (rows, seed, step).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor

from dozero.dataset.shards import TokenStream

IGNORE = -100  # the target that cross_entropy skips


@dataclass(frozen=True)
class Batch:
    """One step's rows. A position's target is the token after it; `segments` numbers the documents of a row."""

    ids: Int[Tensor, "B T"]
    targets: Int[Tensor, "B T"]
    segments: Int[Tensor, "B T"]
    target_tokens: int

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        if device.type == "cpu":
            return self
        return Batch(self.ids.to(device), self.targets.to(device), self.segments.to(device), self.target_tokens)


@dataclass(frozen=True)
class Rows:
    """Pieces of documents packed into rows: row r holds pieces order[first[r]:first[r + 1]]."""

    ids: NDArray[np.unsignedinteger[Any]]
    T: int
    piece_start: NDArray[np.int64]
    piece_length: NDArray[np.int64]
    order: NDArray[np.int64]
    first: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.first) - 1

    @property
    def fill(self) -> float:
        """Share of the positions that hold a token."""
        return float(self.piece_length.sum()) / (len(self) * self.T)


def pack_rows(stream: TokenStream, T: int, documents: int | None = None) -> Rows:
    """Pack the (first) documents into rows of T tokens without cutting any that fits.

    Longer ones are cut into pieces of T. Each piece goes to the fullest open row with room for it (best fit).
    """
    count = stream.documents if documents is None else min(documents, stream.documents)
    bounds = np.append(stream.starts, len(stream.ids) - 1)
    starts, lengths = bounds[:count], np.diff(bounds)[:count]
    pieces = -(-lengths // T)
    offset = (np.arange(pieces.sum()) - np.repeat(np.cumsum(pieces) - pieces, pieces)) * T
    piece_start = np.repeat(starts, pieces) + offset
    piece_length = np.minimum(np.repeat(lengths, pieces) - offset, T)
    row = np.array(_best_fit(piece_length.tolist(), T), dtype=np.int64)
    order = np.argsort(row, kind="stable")
    first = np.append(0, np.cumsum(np.bincount(row)))
    return Rows(stream.ids, T, piece_start, piece_length, order, first)


def _best_fit(lengths: list[int], T: int) -> list[int]:
    """Return a row for each piece: the open row with the least room that is enough, else a new one."""
    open_rows: list[list[int]] = [[] for _ in range(T + 1)]  # by room left
    has_room = 0  # bit s is set where open_rows[s] is not empty
    rows, placed = 0, []
    for length in lengths:
        enough = has_room >> length
        if enough:
            room = length + (enough & -enough).bit_length() - 1
            row = open_rows[room].pop()
            if not open_rows[room]:
                has_room ^= 1 << room
        else:
            row, room, rows = rows, T, rows + 1
        placed.append(row)
        if room > length:
            open_rows[room - length].append(row)
            has_room |= 1 << (room - length)
    return placed


def rows_of_step(count: int, per_step: int, seed: int, step: int) -> NDArray[np.int64]:
    """Return the row numbers of a step: epoch after epoch, each in a fresh order, none twice in an epoch."""
    places = np.arange(step * per_step, (step + 1) * per_step)
    epochs = places // count
    chosen = [permutation(count, seed, int(e))[places[epochs == e] % count] for e in np.unique(epochs)]
    return np.concatenate(chosen)


@lru_cache(maxsize=4)
def permutation(count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Return the order of an epoch: indices sorted by a 64-bit mix of (seed, epoch, index).

    The mix is SplitMix64 (Steele et al. 2014), so the order is the same on every machine and version.
    """
    start = _mix(np.array([seed], dtype=np.uint64)) ^ np.uint64(epoch)
    keys = _mix(_mix(start) + np.arange(count, dtype=np.uint64))
    return np.argsort(keys, kind="stable")


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def gather_batch(rows: Rows, chosen: NDArray[np.int64]) -> Batch:
    """Return the batch of the chosen rows; what a row does not fill has no target and a document of its own."""
    per_row = rows.first[chosen + 1] - rows.first[chosen]
    nth = np.arange(per_row.sum()) - np.repeat(np.cumsum(per_row) - per_row, per_row)
    pieces = rows.order[np.repeat(rows.first[chosen], per_row) + nth]
    lengths = rows.piece_length[pieces]
    before = np.cumsum(lengths) - lengths  # tokens of the batch before each piece
    inside = np.arange(lengths.sum()) - np.repeat(before, lengths)
    source = np.repeat(rows.piece_start[pieces], lengths) + inside
    row_of_piece = np.repeat(np.arange(len(chosen)), per_row)
    row_start = np.append(0, np.cumsum(np.bincount(row_of_piece, lengths, minlength=len(chosen))))[:-1].astype(np.int64)
    target = np.repeat(row_of_piece * rows.T + before - row_start[row_of_piece], lengths) + inside
    ids, targets, segments = (np.full(len(chosen) * rows.T, fill, dtype=np.int64) for fill in (0, IGNORE, -1))
    ids[target], targets[target] = rows.ids[source], rows.ids[source + 1]
    segments[target] = np.repeat(nth, lengths)
    shaped = (torch.from_numpy(a.reshape(len(chosen), rows.T)) for a in (ids, targets, segments))
    return Batch(*shaped, target_tokens=len(source))


def batch_of_step(rows: Rows, per_step: int, seed: int, step: int) -> Batch:
    """Return the batch that (seed, step) names."""
    return gather_batch(rows, rows_of_step(len(rows), per_step, seed, step))
