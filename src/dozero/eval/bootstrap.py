"""How sure is a figure? Bootstrap intervals: the measured items drawn again and again, with replacement (Efron 1979).

All draws follow from a seed, so that the same items give the same interval anywhere. A figure of two models on the
same items is compared by drawing the same items for both (the paired bootstrap).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DRAWS, LEVEL, SEED = 1000, 0.95, 1234
VALUES_AT_ONCE = 4_000_000
"""Bounds what a portion of the draws holds in memory."""

Counts = NDArray[np.float64]
"""How often each item was drawn: one row a draw, one column an item."""
Statistic = Callable[[Counts], NDArray[np.float64]]
"""Returns for each row of counts the figure of the items drawn so often."""


@dataclass(frozen=True)
class Interval:
    """A figure and the interval that holds it with a probability of 95%."""

    value: float
    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Return whether a value lies in the interval."""
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Difference:
    """By how much the second of two figures is larger than the first, and how easily chance alone gives as much."""

    interval: Interval
    p: float
    """Share of the draws, on both sides, in which the difference is none or has the other sign."""

    @property
    def is_real(self) -> bool:
        """Whether no difference lies outside of the interval."""
        return not self.interval.holds(0.0)


def interval_of(statistic: Statistic, items: int, seed: int = SEED, draws: int = DRAWS) -> Interval:
    """Return a figure of all items with its 95% interval: the middle of the figures of `draws` resamples.

    >>> heads = np.array([1.0, 0.0] * 50)
    >>> interval_of(ratio(heads, np.ones(100)), 100)
    Interval(value=0.5, low=0.4, high=0.6)
    """
    value = float(statistic(np.ones((1, items)))[0])
    if items < 2:  # nothing to draw from: nobody can say how sure it is
        return Interval(value, float("nan"), float("nan"))
    drawn = np.concatenate([statistic(counts) for counts in _draw(items, seed, draws)])
    return Interval(value, *_bounds(drawn))


def difference_of(first: Statistic, second: Statistic, items: int, seed: int = SEED, draws: int = DRAWS) -> Difference:
    """Return by how much `second` is larger than `first` on the same items, drawn together."""
    everything = np.ones((1, items))
    value = float(second(everything)[0] - first(everything)[0])
    if items < 2:
        return Difference(Interval(value, float("nan"), float("nan")), 1.0)
    drawn = np.concatenate([second(counts) - first(counts) for counts in _draw(items, seed, draws)])
    against = 1 + min(
        np.sum(drawn <= 0), np.sum(drawn >= 0)
    )  # one more, for of a thousand draws none is no proof of never
    return Difference(Interval(value, *_bounds(drawn)), float(min(1.0, 2 * against / (draws + 1))))


def ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> Statistic:
    """Return the statistic sum(above) / sum(below): bits per byte, accuracy, perplexity's logarithm."""
    return lambda counts: (counts @ above) / np.maximum(counts @ below, 1e-300)


def mean(values: NDArray[np.float64]) -> Statistic:
    """Return the statistic that is the mean of a value of each item."""
    return ratio(values, np.ones(len(values)))


def _draw(items: int, seed: int, draws: int) -> Iterator[Counts]:
    """Yield how often each item is drawn, in portions of the draws."""
    rng = np.random.Generator(np.random.PCG64(seed))  # named, since another default would draw other items
    at_once = max(1, VALUES_AT_ONCE // items)
    for start in range(0, draws, at_once):
        rows = min(at_once, draws - start)
        chosen = rng.integers(items, size=(rows, items)) + np.arange(rows)[:, None] * items
        yield np.bincount(chosen.ravel(), minlength=rows * items).reshape(rows, items).astype(np.float64)


def _bounds(drawn: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
