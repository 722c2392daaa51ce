"""Calibration: is a token that a model gives 70% right seven times in ten?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dozero.eval.bootstrap import Statistic

BINS = 15
COUNT, CORRECT, CONFIDENCE = range(3)

Table = NDArray[np.float64]
"""For each bin of confidence: predictions, how many were right, the sum of their confidences."""


@dataclass(frozen=True)
class Bin:
    """Predictions of like confidence."""

    low: float
    high: float
    count: int
    confidence: float
    """Their mean confidence."""
    accuracy: float
    """The share of them that was right."""


def count_bins(confidence: NDArray[np.float64], correct: NDArray[np.bool_]) -> Table:
    """Return the table of some predictions: bins of equal width, (0, 1/15] the first.

    >>> count_bins(np.array([0.7, 0.7, 0.05]), np.array([True, False, False]))[[0, 10]].tolist()
    [[1.0, 0.0, 0.05], [2.0, 1.0, 1.4]]
    """
    place = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    columns = (None, correct.astype(np.float64), confidence)
    return np.stack([np.bincount(place, weights, minlength=BINS).astype(np.float64) for weights in columns], axis=1)


def calibration_error(tables: NDArray[np.float64]) -> Statistic:
    """Return the statistic of the expected calibration error of documents with these tables (Guo et al. 2017).

    That is the mean distance of confidence and accuracy over the bins, each as heavy as it has predictions.
    """
    flat = tables.reshape(len(tables), -1)

    def error(counts: NDArray[np.float64]) -> NDArray[np.float64]:
        total = (counts @ flat).reshape(len(counts), BINS, 3)
        distance = np.abs(total[:, :, CONFIDENCE] - total[:, :, CORRECT]).sum(axis=1)
        return distance / np.maximum(1.0, total[:, :, COUNT].sum(axis=1))

    return error


def read_bins(table: Table) -> list[Bin]:
    """Return the bins of a table that hold anything."""
    return [
        Bin(i / BINS, (i + 1) / BINS, int(count), confidence / count, correct / count)
        for i, (count, correct, confidence) in enumerate(table.tolist())
        if count
    ]
