"""Constants of the law, by the least fourth powers of errors in the logarithm of the loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

SHARED = {"crowding": 0.7, "repeating": 1.3}
OWN = {"alpha": 0.35, "beta": 0.5, "overfit": 0.01}
"""Where the exponents, and the floor near 0.7 of the lowest trial, are looked for: with a dozen trials of each kind,
several sets of constants fit as well, and a floor near zero has repeated text of use for ever."""
HELD = 0.02  # to be off by a factor of e costs as much as a trial that is 2% off
WITHIN = 0.02  # errors count by their fourth power, in units of this: what is promised is the largest of them

Trials = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Fit:
    """Constants common to all kinds, those of each, and the error of each trial as a share."""

    shared: dict[str, float]
    own: dict[str, dict[str, float]]
    errors: NDArray[np.float64]


def predictions(shared: Mapping[str, float], own: Mapping[str, float], trials: Trials) -> NDArray[np.float64]:
    """Return what the law says of trials, by the very function that a plan uses."""
    from types import SimpleNamespace

    from dozero.train.law import foretell

    law: Any = SimpleNamespace(**shared, **own)
    return np.array([foretell(law, 1.0, size_of(t), t["tokens"], t["unique_tokens"]) for t in trials])


def size_of(trial: Mapping[str, Any]) -> float:
    """Return N of a trial, as train/law.py counts it."""
    return trial["block_params"] + trial["width"] * trial["vocab_size"]


def fit(trials: Trials) -> Fit:
    """Return the constants whose largest errors are small; `corpus` of a trial names its kind."""
    kinds = list(dict.fromkeys(t["corpus"] for t in trials))
    groups = {kind: [t for t in trials if t["corpus"] == kind] for kind in kinds}
    lowest = {kind: min(t["bits_per_byte"] for t in group) for kind, group in groups.items()}
    names = [*SHARED, *((kind, name) for kind in kinds for name in ("floor", "size", "data", *OWN))]
    start = [
        *SHARED.values(),
        *(v for k in kinds for v in (0.7 * lowest[k], 0.1 * lowest[k], 0.1 * lowest[k], *OWN.values())),
    ]
    sought = np.array([name in SHARED or name[1] in (*OWN, "floor") for name in names])

    def unpack(x: NDArray[np.float64]) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
        values = dict(zip(names, np.exp(x).tolist(), strict=True))
        own = {kind: {name[1]: v for name, v in values.items() if name[0] == kind} for kind in kinds}
        return {name: values[name] for name in SHARED}, own

    def errors(x: NDArray[np.float64]) -> NDArray[np.float64]:
        shared, own = unpack(x)
        return np.concatenate(
            [
                np.log(predictions(shared, own[kind], group)) - np.log([t["bits_per_byte"] for t in group])
                for kind, group in groups.items()
            ]
        )

    def weigh(error: NDArray[np.float64]) -> NDArray[np.float64]:
        return error * np.abs(error) / WITHIN

    first = np.log(start)
    found = least_squares(
        lambda x: np.concatenate([weigh(errors(x)), HELD * (x - first)[sought]]), first,
        bounds=(first - 6, first + 6), max_nfev=5000,
    )  # fmt: skip
    shared, own = unpack(found.x)
    return Fit(shared, own, np.expm1(errors(found.x)))
