"""Classification: precision, recall and F1 from a table of what was right and what was said."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dozero.eval.bootstrap import Statistic


@dataclass(frozen=True)
class ClassScore:
    """How well one class is told from the others."""

    label: str
    precision: float
    """Of the items called so, the share that are."""
    recall: float
    """Of the items that are so, the share that is called so."""
    f1: float
    support: int
    """Items that are so."""


def confusion(right: NDArray[np.int64], said: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Return how many items of each class (rows) were said to be of each (columns).

    >>> confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    return np.bincount(right * classes + said, minlength=classes * classes).reshape(classes, classes)


def score_classes(matrix: NDArray[np.int64], labels: tuple[str, ...]) -> list[ClassScore]:
    """Return precision, recall and F1 of each class; 0 where there is nothing to divide by."""
    precision, recall, f1 = (values[0] for values in _scores(matrix[None].astype(np.float64)))
    support = matrix.sum(axis=1)
    return [
        ClassScore(label, float(precision[i]), float(recall[i]), float(f1[i]), int(support[i]))
        for i, label in enumerate(labels)
    ]


def macro_f1(right: NDArray[np.int64], said: NDArray[np.int64], classes: int) -> Statistic:
    """Return the statistic of the mean F1 of the classes that occur, in what is right or in what was said."""
    pairs = np.zeros((len(right), classes * classes))
    pairs[np.arange(len(right)), right * classes + said] = 1.0

    def mean_f1(counts: NDArray[np.float64]) -> NDArray[np.float64]:
        matrices = (counts @ pairs).reshape(len(counts), classes, classes)
        occurs = (matrices.sum(axis=1) + matrices.sum(axis=2)) > 0
        return (_scores(matrices)[2] * occurs).sum(axis=1) / np.maximum(1, occurs.sum(axis=1))

    return mean_f1


def _scores(matrices: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return precision, recall and F1 of each class of each matrix."""
    hits = np.diagonal(matrices, axis1=1, axis2=2)
    said, are = matrices.sum(axis=1), matrices.sum(axis=2)
    precision, recall = hits / np.maximum(said, 1.0), hits / np.maximum(are, 1.0)
    return precision, recall, 2 * hits / np.maximum(said + are, 1.0)
