"""What a plan foretold of a run, kept beside its logs until it can be compared with what came of it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from dozero.durable import explain_os_errors, write_whole
from dozero.train.plan import Plan

PLAN_FILE = "plan.json"


@dataclass(frozen=True)
class Foretold:
    """What was expected before the first step."""

    minutes: float
    training_s: float
    steps: int
    step_s: float
    epochs: float
    bits_per_byte: float
    bits_per_byte_if_new: float
    error: float
    is_rough: bool
    d_model: int
    n_layers: int
    batch_tokens: int


def foretell_plan(plan: Plan) -> Foretold:
    """Return what a plan promises, as plain figures."""
    config = plan.config
    return Foretold(
        plan.seconds / 60, config.train.max_seconds, plan.steps, round(plan.step_s, 4), round(plan.epochs, 3),
        round(plan.bits_per_byte, 4), round(plan.bits_if_new, 4), plan.error, plan.is_rough, config.model.d_model,
        config.model.n_layers, config.train.batch_tokens,
    )  # fmt: skip


def keep_foretold(plan: Plan, run: Path) -> None:
    """Write what a plan promises into the folder of its run."""
    with explain_os_errors(run):
        run.mkdir(parents=True, exist_ok=True)
        write_whole(run / PLAN_FILE, json.dumps(asdict(foretell_plan(plan)), indent=2) + "\n")


def read_foretold(run: Path) -> Foretold | None:
    """Return what was promised of a run; None where nothing was, or what is there cannot be read."""
    try:
        tree = json.loads((run / PLAN_FILE).read_text(encoding="utf-8"))
        return Foretold(**{field.name: tree[field.name] for field in fields(Foretold)})
    except (OSError, ValueError, KeyError, TypeError):
        return None
