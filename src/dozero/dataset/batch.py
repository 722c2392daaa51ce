"""Batches: which rows make up which step.

Nothing here remembers anything: the batch of a step follows from (rows, seed, step).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor

from dozero.dataset.rows import Mix, Rows
from dozero.dataset.stream import Ids, let_go

IGNORE = -100  # the target that cross_entropy skips
TOKENS_AT_ONCE = 2**15
"""Of steps whose rows are gathered together: for a small step numpy takes as long as for many."""
GATHERED_KEPT = 2  # those of a step, and those that a team's leader looks at closely
LONG_ROWS = 2
"""Documents of so many full rows or more are cut at other places in each epoch."""


@dataclass(frozen=True)
class Batch:
    """Rows of one step. A position's target is the token after it; `segments` numbers the documents of a row."""

    ids: Int[Tensor, "B T"]
    targets: Int[Tensor, "B T"]
    segments: Int[Tensor, "B T"]
    target_tokens: int
    """Targets of the whole step, of which these may be a share: what the loss is divided by."""

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        if device.type == "cpu":
            return self
        return Batch(self.ids.to(device), self.targets.to(device), self.segments.to(device), self.target_tokens)

    def rows(self, begin: int, end: int) -> Batch:
        """Return some of the rows, as a share of the same step."""
        return Batch(self.ids[begin:end], self.targets[begin:end], self.segments[begin:end], self.target_tokens)

    def portions(self, rows_at_once: int) -> list[Batch]:
        """Return the rows in portions of so many, the last perhaps smaller; 0 leaves them together."""
        if not 0 < rows_at_once < len(self.ids):
            return [self]
        return [self.rows(begin, begin + rows_at_once) for begin in range(0, len(self.ids), rows_at_once)]


@lru_cache(maxsize=4)
def lay_out_turn(turn: tuple[int, ...]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return for each place of a turn the group that gives the row, and how many it has given before in this turn.

    After n places every group has given its share of n rounded down or up: the quota method of Balinski & Young
    (1975). Of those that may give another without exceeding that, the one comes next that is due first.
    """
    total, given = sum(turn), [0] * len(turn)
    groups, before = np.zeros(total, dtype=np.int64), np.zeros(total, dtype=np.int64)
    for place in range(total):
        may = (g for g, share in enumerate(turn) if given[g] * total < share * (place + 1))
        group = min(may, key=lambda g: (given[g] + 1) / turn[g])
        groups[place], before[place] = group, given[group]
        given[group] += 1
    return groups, before


def rows_of_step(mix: Mix, per_step: int, seed: int, step: int) -> NDArray[np.int64]:
    """Return the row numbers of a step, the groups in turn.

    Each group goes epoch after epoch through its own rows, each time in a fresh order, none twice in an epoch; a
    small group with a large weight begins anew more often than others.
    """
    return _draw(mix, per_step, seed, step)[0]


def _draw(mix: Mix, per_step: int, seed: int, step: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows of a step, and for each the epoch that its group is in."""
    turns, places = np.divmod(np.arange(step * per_step, (step + 1) * per_step), sum(mix.turn))
    groups, before = (column[places] for column in lay_out_turn(mix.turn))
    given = turns * np.array(mix.turn)[groups] + before  # rows of its group before this one, from the first step on
    epochs, nth = np.divmod(given, np.array(mix.sizes)[groups])
    rows = np.cumsum((0, *mix.sizes))[groups]
    for group in range(len(mix.sizes)):
        of_group = groups == group
        for epoch in set(epochs[of_group].tolist()):
            here = of_group & (epochs == epoch)
            order = permutation(mix.sizes[group], seed, (group << 40) + epoch)
            rows[here] += order[nth[here]]
    return rows, epochs


@lru_cache(maxsize=32)
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


def turn_of_epoch(epochs: NDArray[np.int64], T: int, seed: int) -> NDArray[np.int64]:
    """Return by how many tokens the cuts of an epoch lie further on than in the first one: fewer than T.

    >>> turn_of_epoch(np.arange(4), 64, seed=0).tolist()
    [0, 41, 59, 42]
    """
    keys = _mix(_mix(np.array([seed], dtype=np.uint64)) ^ ~epochs.astype(np.uint64))  # of the order it is no copy
    return np.where(epochs == 0, 0, (keys % np.uint64(T)).astype(np.int64))


def gather_batch(rows: Rows, chosen: NDArray[np.int64], turns: NDArray[np.int64] | None = None) -> Batch:
    """Return the batch of the chosen rows; what a row does not fill has no target and a document of its own.

    With `turns`, one for each row, a long document is cut so many tokens further on: its full pieces go round together,
    so that one of them is its end and its beginning, and each token still comes once.
    """
    per_row, nth, pieces = _pieces_of(rows, chosen)
    lengths = rows.piece_length[pieces].astype(np.int64)
    before = np.cumsum(lengths) - lengths  # tokens of the batch before each piece
    count = np.arange(lengths.sum())
    source = count + np.repeat(rows.piece_start[pieces] - before, lengths)
    segment = np.repeat(nth, lengths)
    if turns is not None and turns.any() and (lengths == rows.T).any():  # shorter pieces are never cut elsewhere
        source, again = _turned(rows, pieces, np.repeat(turns, per_row), source)
        segment += again
    row_starts = np.arange(len(chosen)) * rows.T
    target = count + np.repeat(np.repeat(row_starts - before[np.cumsum(per_row) - per_row], per_row), lengths)
    ids, targets, segments = (np.full(len(chosen) * rows.T, fill, dtype=np.int64) for fill in (0, IGNORE, -1))
    ids[target], targets[target] = take_ids(rows.shards, source), take_ids(rows.shards, source + 1)
    segments[target] = segment
    shaped = (torch.from_numpy(a.reshape(len(chosen), rows.T)) for a in (ids, targets, segments))
    return Batch(*shaped, target_tokens=len(source))


def take_ids(shards: tuple[Ids, ...], positions: NDArray[np.int64]) -> Ids:
    """Return the ids at these positions of a stream."""
    if len(shards) == 1:
        return shards[0][positions]
    shard, place = np.divmod(positions, len(shards[0]))
    ids = np.empty(len(positions), dtype=shards[0].dtype)
    for s in np.unique(shard):
        here = shard == s
        ids[here] = shards[s][place[here]]
    return ids


def _turned(
    rows: Rows, pieces: NDArray[np.int64], turns: NDArray[np.int64], source: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the source of each token once the full pieces of long documents have gone round, and which begin anew."""
    document = np.searchsorted(rows.starts, rows.piece_start[pieces], side="right") - 1
    begin = rows.starts[document]
    end = np.where(
        document + 1 < len(rows.starts), rows.starts[np.minimum(document + 1, len(rows.starts) - 1)], rows.tokens
    )
    goes = (rows.piece_length[pieces] == rows.T) & (end - begin >= LONG_ROWS * rows.T)
    full = (end - begin) // rows.T * rows.T
    turn, begin, full = (np.repeat(x, rows.piece_length[pieces]) for x in (np.where(goes, turns, 0), begin, full))
    again = source + turn >= begin + np.where(turn > 0, full, np.iinfo(np.int64).max // 2)
    return source + turn - np.where(again, full, 0), again


def _pieces_of(rows: Rows, chosen: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return how many pieces each of the rows holds, and of each piece its place in its row and its number."""
    per_row = rows.first[chosen + 1] - rows.first[chosen]
    nth = np.arange(per_row.sum()) - np.repeat(np.cumsum(per_row) - per_row, per_row)
    return per_row, nth, np.repeat(rows.first[chosen], per_row) + nth


def window_of_step(step: int, passed_over: Sequence[int]) -> int:
    """Return which window of data a step takes: the step-th, counted from 0, of those not passed over (in order).

    >>> [window_of_step(step, [2, 3, 7]) for step in range(6)]
    [0, 1, 4, 5, 6, 8]
    """
    window = step
    for passed in passed_over:
        if passed > window:
            break
        window += 1
    return window


def batch_of_step(rows: Rows, per_step: int, seed: int, step: int) -> Batch:
    """Return the batch that (seed, step) names."""
    return share_of_step(rows, per_step, seed, step, 0, per_step)


def share_of_step(rows: Rows, per_step: int, seed: int, step: int, begin: int, end: int) -> Batch:
    """Return the rows from `begin` to `end` of the batch that (seed, step) names, as a share of that step."""
    many, end = max(1, TOKENS_AT_ONCE // (per_step * rows.T)), min(end, per_step)
    window, place = divmod(step, many)
    steps, target_tokens = _steps_at(rows, (per_step, seed, window, many, begin, end))
    share = steps.rows(place * (end - begin), (place + 1) * (end - begin))
    return replace(share, target_tokens=int(target_tokens[place]))


def _steps_at(rows: Rows, place: tuple[int, ...]) -> tuple[Batch, NDArray[np.int64]]:
    if place not in rows.gathered:
        if len(rows.gathered) >= GATHERED_KEPT:
            rows.gathered.clear()
        rows.gathered[place] = _gather_steps(rows, *place)
    return rows.gathered[place]


def _gather_steps(
    rows: Rows, per_step: int, seed: int, window: int, many: int, begin: int, end: int
) -> tuple[Batch, NDArray[np.int64]]:
    """Return these rows of `many` steps one after another, and the targets of each whole step."""
    chosen, epochs = _draw(rows.mix, many * per_step, seed, window)
    per_row, _, pieces = _pieces_of(rows, chosen)
    targets = np.add.reduceat(rows.piece_length[pieces].astype(np.int64), np.cumsum(per_row) - per_row)
    own_rows, own_epochs = (of_all.reshape(many, per_step)[:, begin:end].ravel() for of_all in (chosen, epochs))
    gathered = gather_batch(rows, own_rows, turn_of_epoch(own_epochs, rows.T, seed))
    for shard in rows.shards:
        let_go(shard)
    return gathered, targets.reshape(many, per_step).sum(axis=1)
