"""What two runs took, and how far each was when both had taken the same: time, tokens."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dozero.errors import ArtifactError
from dozero.model.cost import model_cost
from dozero.model.hf import read_hf_config
from dozero.train.run_facts import RunFacts, find_run, read_facts

ALIKE = 0.05
"""Costs that differ by less than this share are called equal."""
Curve = list[tuple[float, float]]
"""Points of cost and held-out bits per byte, in order."""


@dataclass(frozen=True)
class Cost:
    """What a model took; None for what nobody recorded."""

    parameters: int
    tokens: int | None
    """Tokens trained on."""
    seconds: float | None
    """Time of training."""


@dataclass(frozen=True)
class AtEqual:
    """The held-out bits per byte of two runs when both had taken the same amount of something."""

    axis: str
    """tokens or seconds."""
    amount: float
    first: float
    second: float


def cost_of(model_folder: Path) -> tuple[Cost, RunFacts | None]:
    """Return what a model took, and the facts of its run if there is one."""
    config, vocab_size = read_hf_config(model_folder / "config.json")
    parameters = model_cost(config, vocab_size).params
    try:
        facts = read_facts(find_run(model_folder))
    except ArtifactError:
        return Cost(parameters, None, None), None
    manifest = facts.manifest
    if manifest is None:
        return Cost(parameters, facts.losses[-1]["tokens"] if facts.losses else None, None), facts
    return Cost(parameters, int(manifest.counts["tokens"]), manifest.seconds), facts


def equal_costs(first: Cost, second: Cost) -> dict[str, bool | None]:
    """Return of each cost whether it is about equal; None where it is not known."""
    return {
        name: _is_alike(getattr(first, name), getattr(second, name)) for name in ("parameters", "tokens", "seconds")
    }


def _is_alike(first: float | None, second: float | None) -> bool | None:
    return None if first is None or second is None else abs(first - second) <= ALIKE * max(first, second)


def at_equal(first: RunFacts, second: RunFacts) -> list[AtEqual]:
    """Return how far two runs were at the last point of tokens, and of time, that both reached.

    Only for runs that were measured on the same held-out documents on the way; between two looks the curve is straight.
    """
    if not first.manifest or not second.manifest or first.manifest.inputs != second.manifest.inputs:
        return []
    found = []
    for axis, curves in (("tokens", _token_curves), ("seconds", _time_curves)):
        one, other = curves(first), curves(second)
        if one and other and (amount := min(one[-1][0], other[-1][0])) >= max(one[0][0], other[0][0]):
            found.append(AtEqual(axis, amount, read_curve(one, amount), read_curve(other, amount)))
    return found


def _token_curves(facts: RunFacts) -> Curve:
    return _curve(facts, [(line["step"], line["tokens"]) for line in facts.losses])


def _time_curves(facts: RunFacts) -> Curve:
    return _curve(facts, [(line["step"], line["seconds"]) for line in facts.timings if "seconds" in line])


def _curve(facts: RunFacts, costs: Sequence[tuple[int, float]]) -> Curve:
    """Return the held-out looks of a run by what it had taken: at their step, or at the last one logged before it."""
    steps = [step for step, _ in costs]
    points: Curve = []
    for line in facts.heldout:
        at = bisect_left(steps, line["step"] + 1) - 1
        if at >= 0 and "heldout_bits_per_byte" in line:
            points.append((float(costs[at][1]), line["heldout_bits_per_byte"]))
    return points


def read_curve(curve: Curve, at: float) -> float:
    """Return the height of a curve at a place within it.

    >>> read_curve([(0.0, 4.0), (10.0, 2.0)], 5.0)
    3.0
    """
    places = [x for x, _ in curve]
    right = min(bisect_left(places, at), len(curve) - 1)
    (x1, y1), (x0, y0) = curve[right], curve[max(0, right - 1)]
    return y1 if x1 <= x0 else y0 + (y1 - y0) * (at - x0) / (x1 - x0)
