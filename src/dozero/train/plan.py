"""Time as the dial: which model, how many steps, for the minutes one is willing to wait on this machine."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

from dozero.dataset.batch import batch_of_step, count_epochs, pack_rows
from dozero.dataset.shards import Dataset
from dozero.device import Device
from dozero.errors import ConfigError
from dozero.model.cost import model_cost
from dozero.settings import ModelConfig, RunConfig
from dozero.train.learner import build_model
from dozero.train.optim import build_optimizer
from dozero.train.step import Schedule, train_step

WARM_STEPS, TIMED_STEPS = 2, 6
# Steps may turn out faster than the first ones measured: plan for a few more than fit, and let max_seconds end the run.
MARGIN = 1.3
SECONDS_BETWEEN_LOOKS = 4.0
# What comes after training takes about this share of a step for each step's worth of held-out tokens (forward only).
FORWARD_SHARE = 0.5
COUNTING_S = 2.0
LEAST_STEPS = 20
# Training operations from which a model of each shape is worth its time. First guesses from runs on words of up to a
# minute (JOURNAL.md), not a fitted law: the largest shape has not been compared at equal time.
SHAPES: tuple[tuple[float, dict[str, int]], ...] = (
    (0.0, {"d_model": 64, "n_layers": 2, "d_ff": 192}),
    (3e12, {"d_model": 128, "n_layers": 2, "d_ff": 384}),
    (3e13, {"d_model": 192, "n_layers": 3, "d_ff": 512}),
)
HEAD_DIM = 32


@dataclass(frozen=True)
class Plan:
    """Settings for a time, and what to expect of them."""

    config: RunConfig
    seconds: float
    """The whole command, what has passed included."""
    step_s: float
    epochs: float
    """How often the training documents would be seen; of collections mixed by weight, those seen most often."""


def plan_minutes(config: RunConfig, dataset: Dataset, device: Device, seconds: float, passed_s: float) -> Plan:
    """Return settings that end the command after `seconds`, of which `passed_s` have gone by.

    Measures a few real steps, first of the shape in `config` to know the machine, then of the shape chosen.
    Raises ConfigError when not even a few steps fit.
    """
    began = time.perf_counter()
    step_s = measure_step(config, dataset, device)
    flops_per_s = _step_flops(config, dataset.vocab_size) / step_s
    left_s = seconds - passed_s
    shape = next(s for least, s in reversed(SHAPES) if flops_per_s * max(left_s, 0) >= least)
    changed = config.model_copy(update={"model": _with_shape(config.model, shape)})
    if changed != config:
        step_s = measure_step(changed, dataset, device)
    passed_s += time.perf_counter() - began
    heldout_steps = dataset.heldout.tokens / config.train.batch_tokens
    reserve_s = COUNTING_S + heldout_steps * step_s * FORWARD_SHARE
    training_s = seconds - passed_s - reserve_s
    if training_s < LEAST_STEPS * step_s:
        least = passed_s + reserve_s + LEAST_STEPS * step_s
        raise ConfigError(
            "too little time to train anything",
            expected=f"{least / 60:.2f} minutes or more on this machine",
            got=f"{seconds / 60:g}",
            next=f"--minutes {max(0.5, round(least / 60 + 0.05, 1)):g}",
        )
    steps = int(training_s / step_s * MARGIN)
    every = max(1, round(SECONDS_BETWEEN_LOOKS / step_s))
    train = {"steps": steps, "max_seconds": round(training_s, 1), "eval_every": every, "sample_every": every}
    planned = changed.model_copy(update={"train": config.train.model_copy(update=train)})
    epochs = count_epochs(dataset.train, training_s / step_s * config.train.batch_tokens)
    return Plan(planned, seconds, step_s, max(epochs.values()))


def measure_step(config: RunConfig, dataset: Dataset, device: Device) -> float:
    """Return the median seconds of a training step on a throwaway model."""
    rows = pack_rows(dataset.train, config.model.max_seq_len, documents=20 * config.train.batch_tokens // 8)
    model = build_model(config, dataset.vocab_size, device)
    optimizer = build_optimizer(model, config.optim, device.dtype)
    times = []
    for step in range(WARM_STEPS + TIMED_STEPS):
        began = time.perf_counter()
        batch = batch_of_step(rows, config.rows_per_step, config.seed, step).to(model.lm_head.weight.device)
        train_step(model, optimizer, batch, step, Schedule(1000), rows_at_once=config.rows_at_once)
        times.append(time.perf_counter() - began)
    return statistics.median(times[WARM_STEPS:])


def _with_shape(model: ModelConfig, shape: dict[str, int]) -> ModelConfig:
    heads = shape["d_model"] // HEAD_DIM
    return model.model_copy(update={**shape, "n_heads": heads, "n_kv_heads": heads, "head_dim": HEAD_DIM})


def _step_flops(config: RunConfig, vocab_size: int) -> float:
    return model_cost(config.model, vocab_size).training_flops_per_token * config.train.batch_tokens
