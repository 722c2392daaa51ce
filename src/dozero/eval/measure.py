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
    def is_at_chance(self) -> bool:
        """Whether the figure is not told apart from chance, or is worse."""
        if self.chance is None:
            return False
        limit = self.interval.low if self.more_is_better else self.interval.high
        return not (limit > self.chance if self.more_is_better else limit < self.chance)


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
        tree |= {"chance": measure.chance, "at_chance": measure.is_at_chance}
    return tree


def _known(value: float) -> float | None:
    return None if value != value else value
