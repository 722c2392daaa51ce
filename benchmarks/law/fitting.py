"""Constants of the law, by least squares on the logarithm of the loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

SHARED = ("alpha", "beta", "repeat")
OWN = ("floor", "size", "data")
STARTS = ((0.3, 0.3, 8.0), (0.5, 0.5, 15.0), (0.2, 0.6, 5.0))

Trials = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Fit:
    """Constants common to all kinds, those of each, and the error of each trial as a share."""

    shared: dict[str, float]
    own: dict[str, dict[str, float]]
    errors: NDArray[np.float64]


def predictions(shared: Mapping[str, float], own: Mapping[str, float], trials: Trials) -> NDArray[np.float64]:
    """Return what the law says of trials, by the very functions that a plan uses."""
    from types import SimpleNamespace

    from dozero.train.law import foretell

    law: Any = SimpleNamespace(**shared, **own)
    return np.array([foretell(law, 1.0, size_of(t), t["tokens"], t["unique_tokens"]) for t in trials])


def size_of(trial: Mapping[str, Any]) -> float:
    """Return N of a trial, as train/law.py counts it."""
    return trial["block_params"] + trial["width"] * trial["vocab_size"]


def fit(trials: Trials) -> Fit:
    """Return the constants with the least squared error; `corpus` of a trial names its kind."""
    kinds = list(dict.fromkeys(t["corpus"] for t in trials))
    groups = {kind: [t for t in trials if t["corpus"] == kind] for kind in kinds}

    def unpack(x: NDArray[np.float64]) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
        values = np.exp(x)
        own = {kind: dict(zip(OWN, values[3 + 3 * i : 6 + 3 * i], strict=True)) for i, kind in enumerate(kinds)}
        return dict(zip(SHARED, values[:3], strict=True)), own

    def residuals(x: NDArray[np.float64]) -> NDArray[np.float64]:
        shared, own = unpack(x)
        return np.concatenate(
            [
                np.log(predictions(shared, own[kind], group)) - np.log([t["bits_per_byte"] for t in group])
                for kind, group in groups.items()
            ]
        )

    best = None
    for start in STARTS:
        lowest = [min(t["bits_per_byte"] for t in group) for group in groups.values()]
        x = np.log([*start, *(v for low in lowest for v in (0.7 * low, 0.1 * low, 0.1 * low))])
        found = least_squares(residuals, x, loss="soft_l1", f_scale=0.01)
        if best is None or found.cost < best.cost:
            best = found
    assert best is not None
    shared, own = unpack(best.x)
    return Fit(shared, own, np.expm1(residuals(best.x)))
