"""What is done about a step whose loss jumps or is not finite: which data are passed over, and when to give up.

The bad step is found before its update (train/step.py), so weights and optimizer are those of the step before. All
that is decided here follows from the settings and the state of the run, so that a run killed and continued decides alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dozero.dataset.batch import window_of_step
from dozero.errors import DivergedError
from dozero.settings import OptimConfig, RunConfig

Action = Literal["raise", "skip", "rollback"]
POLICY = ("on_divergence", "spike_sigma", "most_skips")
"""Settings of `train` that decide what happens at a bad step, and nothing before it."""


@dataclass(frozen=True)
class Rollback:
    """A time that a run went back: from which step, to which, and the windows of data it passes over since."""

    step: int
    """The bad step, counted from 0: the updates made before it."""
    back_to: int
    windows: list[int]
    what: str
    got: str


def passed_over(rollbacks: Sequence[Rollback]) -> list[int]:
    """Return all windows of data that are passed over, in order.

    >>> passed_over([Rollback(6, 5, [5, 6], "", ""), Rollback(2, 1, [1, 2], "", "")])
    [1, 2, 5, 6]
    """
    return sorted({window for rollback in rollbacks for window in rollback.windows})


def last_regular_save(step: int, save_every: int) -> int:
    """Return the step to go back to: that of the last regular checkpoint.

    One written because a run was interrupted does not count: it would make the interruption visible in the weights.

    >>> last_regular_save(17, 5), last_regular_save(15, 5), last_regular_save(3, 5)
    (15, 15, 0)
    """
    return step - step % save_every


def go_back(rollbacks: Sequence[Rollback], step: int, back_to: int, error: DivergedError) -> Rollback:
    """Return the record of going back: the data of all steps since are passed over, the bad one's included.

    Passing over the bad one's alone would lead to the same weights at the same step, which skipping does at once.
    """
    passed = passed_over(rollbacks)
    windows = [window_of_step(s, passed) for s in range(back_to, step + 1)]
    return Rollback(step, back_to, windows, error.what, str(error.got))


def choose_action(config: RunConfig, skips_in_a_row: int, rollbacks: Sequence[Rollback], back_to: int) -> Action:
    """Return what the settings want done about a bad step; "raise" also when it was done often enough."""
    policy, most = config.train.on_divergence, config.train.most_skips
    done = skips_in_a_row if policy == "skip" else sum(rollback.back_to == back_to for rollback in rollbacks)
    return "raise" if done >= most else policy


def rollback_facts(rollback: Rollback) -> dict[str, Any]:
    """Return what the metrics tell of going back; steps are counted from 1 there, windows from 0."""
    at = rollback.step + 1
    return {"diverged": rollback.got, "action": "rollback", "at": at, "passed_over": rollback.windows}


def way_out(config: RunConfig) -> str:
    """Return what to try when a run ended at a bad step: continue past it, or begin anew with lower rates."""
    policy, optim = config.train.on_divergence, config.optim
    anew = f"anew, slower: {lower_rates(optim)} --fresh"
    if policy != "raise":
        return anew
    return f"the same command with train.on_divergence=skip, or =rollback; or {anew}"


def lower_rates(optim: OptimConfig) -> str:
    """Return half the learning rates, as one would type them."""
    return f"optim.muon_lr={optim.muon_lr / 2:g} optim.adam_lr={optim.adam_lr / 2:g}"


def may_change_policy(old: RunConfig, new: RunConfig) -> bool:
    """Return whether `new` differs in the policy alone, and nothing of what was trained depends on the old one.

    A run that ends at its first bad step has made no use of any policy yet.
    """
    kept = {name: getattr(old.train, name) for name in POLICY}
    with_old_policy = new.model_copy(update={"train": new.train.model_copy(update=kept)})
    return old != new and old.train.on_divergence == "raise" and with_old_policy == old
