"""Where a run ends: after its steps, or by the clock, which then moves its end now and again.

Where a plan says how many steps should fit the time, these are made as long as that takes about the time: what it
foretold of the loss is for so many, and an end that moves to and fro costs some of it. A machine may be a fifth faster
at one moment than at another.
"""

from __future__ import annotations

from collections.abc import Iterator

from dozero.settings import TrainConfig
from dozero.train.events import Replanned
from dozero.train.session import Session
from dozero.train.step import Schedule

REPLAN_AT = (0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95)
REPLAN_TOLERANCE = 0.01


def first_end(config: TrainConfig) -> int:
    """Return after how many steps a run is to end, before the clock has said anything.

    >>> first_end(TrainConfig(steps=900, max_seconds=60, expected_steps=300)), first_end(TrainConfig(steps=900))
    (300, 900)
    """
    return _expected(config) or config.steps


def end_in_time(config: TrainConfig, step: int, seconds: float) -> int:
    """Return after how many steps to end if `step` of them took `seconds`: never past config.steps, one more at least.

    >>> config = TrainConfig(steps=900, max_seconds=60, expected_steps=300, slack_seconds=3)
    >>> [end_in_time(config, 100, seconds) for seconds in (10, 19.2, 20, 20.8, 30)]
    [570, 300, 300, 300, 210]
    """
    limit, expected = config.max_seconds, _expected(config)
    slack = config.slack_seconds if expected else 0.0
    least, most = (step + max(1, int((s - seconds) / seconds * step)) for s in (limit - slack, limit + slack))
    return min(config.steps, max(least, min(expected, most)))


def share_done(s: Session) -> float:
    """Return the share of a run by the clock that is done, of its steps or of its time, whichever is further.

    Where far more steps are set than fit the time, those would be warm-up all the way to the first look at the clock.
    """
    return max(s.state.schedule.progress(s.state.step), s.state.seconds / s.config.train.max_seconds)


def move_end(s: Session, done_before: float) -> Iterator[Replanned]:
    """At a few points of the way, move the end of the run so that it fits max_seconds; never past train.steps."""
    schedule, step = s.state.schedule, s.state.step
    if step == schedule.total_steps:
        return
    if s.earlier is not None:
        total = s.earlier.replans.get(step, schedule.total_steps)
    elif any(done_before < at <= share_done(s) for at in REPLAN_AT):
        total = end_in_time(s.config.train, step, s.state.seconds)
    else:
        return
    if abs(total - schedule.total_steps) > REPLAN_TOLERANCE * schedule.total_steps:
        # Warm-up is counted anew: where far more steps are set than fit the time, it rose too slowly.
        is_rising = schedule.progress(step) < s.config.optim.warmup
        s.state.schedule = Schedule(total) if is_rising else schedule.replan(step, total)
        s.timings.write(step=step, total_steps=total)
        yield Replanned(step, total)


def _expected(config: TrainConfig) -> int:
    return min(config.expected_steps, config.steps) if config.max_seconds else 0
