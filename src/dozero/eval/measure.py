"""What is measured of a model by a task, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dozero.eval.bootstrap import Interval, Statistic


@dataclass(frozen=True)
class Measure:
    """A figure with its interval, and what guessing gives."""

    name: str
    interval: Interval
    chance: float | None = None
    """What an answer by chance gets; None where there is no such thing."""
    more_is_better: bool = True

    @property
    def verdict(self) -> str | None:
        """Return "better" or "worse" than chance, or "at_chance" where the interval tells neither; None without chance."""
        if self.chance is None:
            return None
        if self.interval.low > self.chance:
            return "better" if self.more_is_better else "worse"
        if self.interval.high < self.chance:
            return "worse" if self.more_is_better else "better"
        return "at_chance"


@dataclass(frozen=True)
class Outcome:
    """What came of asking a model the items of a task."""

    measures: tuple[Measure, ...]
    """The headline first."""
    items: tuple[dict[str, Any], ...]
    """What the model did with each item."""
    headline: Statistic
    """The headline as a function of how often each item is drawn: what two models are compared by."""
    details: dict[str, Any] = field(default_factory=dict)


def measure_tree(measure: Measure) -> dict[str, Any]:
    """Return a measure as JSON holds it."""
    i = measure.interval
    tree: dict[str, Any] = {"name": measure.name, "value": i.value, "low": _known(i.low), "high": _known(i.high)}
    if measure.chance is not None:
        tree |= {"chance": measure.chance, "verdict": measure.verdict}
    return tree


def _known(value: float) -> float | None:
    return None if value != value else value
