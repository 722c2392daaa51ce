"""Time as the dial: which model, batch and rates, how many steps, for the minutes one is willing to wait here.

The law of train/law.py says which shape is worth the time, and what loss to expect; what a step takes is measured.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dozero.dataset.batch import batch_of_step
from dozero.dataset.rows import count_epochs, pack_rows
from dozero.dataset.shards import Dataset
from dozero.device import Device
from dozero.errors import ConfigError
from dozero.model.cost import model_cost
from dozero.settings import RunConfig
from dozero.train.attention import settle_attention
from dozero.train.compiled import settle_compile
from dozero.train.law import (
    MOST_EPOCHS,
    Law,
    count_size,
    find_law,
    foretell,
    is_elsewhere,
    measure_hardness,
    useful_tokens,
)
from dozero.train.learner import build_model
from dozero.train.optim import build_optimizer
from dozero.train.shapes import SHAPES, Shape, with_shape
from dozero.train.step import Schedule, train_step

WARM_STEPS, TIMED_STEPS = 2, 6
MEASURING_S = 4.0
MARGIN, USEFUL_MARGIN = 3.0, 1.1
SECONDS_BETWEEN_LOOKS = 4.0
# Of the time of training for looks at what was held out and for samples, of which a token takes about so long.
LOOKS_SHARE, LOOKED_TOKENS, SAMPLED_TOKEN_S = 0.08, 20_000, 0.002
# What comes after training takes about this share of a step for each step's worth of held-out tokens (forward only).
FORWARD_SHARE = 0.5
AROUND_TRAINING_S = 3.5  # the sample before training, the look and the sample after it, and the report
# A machine is faster at one moment than at another: the steps that the loss is foretold for are made all the same, if the
# command takes about so much more or less of its time.
SLACK, MOST_SLACK_S = 0.04, 30.0
LEAST_STEPS = 20
SHORTENED = 0.97
LAWFUL_STEPS = 150  # fewer are always of use: what they teach follows no law of tokens yet
MOST_SIZE = 12  # parameters for each token of text: of larger models on so little text no trial was made
MUCH_LOST = 0.02  # what repeated text costs, as a share of the loss, before it is worth a word
LARGER = 1.5
ENDLESS = 10**9
FILL_DOCUMENTS = 20_000


@dataclass(frozen=True)
class Plan:
    """Settings for a time, and what to expect of them."""

    config: RunConfig
    asked_s: float
    """What the command was given."""
    seconds: float
    """What it will take, what has passed included: less, where the text is too small to be of use any longer."""
    step_s: float
    steps: int
    """How many are expected to fit; the settings allow more, and the clock ends the run."""
    epochs: float
    """How often the training documents would be seen; of collections mixed by weight, those seen most often."""
    bits_per_byte: float
    """What the law foretells of all held-out text."""
    bits_if_new: float
    """The same, if no document had to be seen twice."""
    error: float
    """How far off the law was at the most, as a share: on texts as this one, or on others."""
    is_rough: bool
    """Whether the text is another than the law was fitted to, or the run longer or shorter."""
    is_shortened: bool
    """Whether the text is too small to be of use for all of the time."""


@dataclass(frozen=True)
class Prospect:
    """What is known of a text and a machine before a shape is chosen."""

    law: Law
    hardness: float
    dataset: Dataset
    fill: float
    """Share of the positions of a step that hold a token."""
    processes: int
    kept: frozenset[str]
    """Settings that the user gave, such as train.batch_tokens: the plan leaves them alone."""

    @property
    def unique_tokens(self) -> float:
        """How many tokens are seen before the first is seen again; fewer if collections are mixed by weight."""
        return 1 / max(count_epochs(self.dataset.train, 1.0).values())


def plan_minutes(
    config: RunConfig,
    dataset: Dataset,
    device: Device,
    seconds: float,
    passed_s: float,
    *,
    processes: int = 1,
    kept: frozenset[str] = frozenset(),
) -> Plan:
    """Return settings that end the command after `seconds`, of which `passed_s` have gone by, and what they will reach.

    Measures a few real steps. Several processes are planned as many times as fast as this one, on the batches of
    `config`; where they are not, max_seconds ends the run in time. Where the text would be repeated until it hurts,
    there are only as many steps as are of use. Raises ConfigError when not even a few steps fit.
    """
    began = time.perf_counter()
    law = find_law(config)
    fill = pack_rows(dataset.train, config.model.max_seq_len, FILL_DOCUMENTS).fill
    prospect = Prospect(law, measure_hardness(law, dataset), dataset, fill, processes, kept)
    basis = config if processes > 1 else change(config, recipe(law, config), kept)
    shaped, step_s = _pick_shape(prospect, basis, device, seconds - passed_s)
    passed_s += time.perf_counter() - began
    reserve_s = AROUND_TRAINING_S + dataset.heldout.tokens / shaped.train.batch_tokens * step_s * FORWARD_SHARE
    least_s = passed_s + reserve_s + LEAST_STEPS * step_s
    if seconds < least_s:
        raise ConfigError(
            "too little time to train anything",
            expected=f"{least_s / 60:.2f} minutes or more on this machine",
            got=f"{seconds / 60:g}",
            next=f"--minutes {max(0.5, round(least_s / 60 + 0.05, 1)):g}",
        )
    return _fill_time(prospect, shaped, step_s, seconds, passed_s + reserve_s)


def recipe(law: Law, config: RunConfig) -> dict[str, Any]:
    """Return the batch and the rates that the law was fitted with, the batch in whole rows."""
    length = config.model.max_seq_len
    return {
        "train.batch_tokens": max(1, round(law.batch_tokens / length)) * length,
        **{f"optim.{name}": getattr(law, name) for name in ("muon_lr", "adam_lr", "momentum")},
    }


def change(config: RunConfig, changes: Mapping[str, Any], kept: frozenset[str]) -> RunConfig:
    """Return the settings with those of `changes`, by section.key, that are not kept.

    >>> change(RunConfig(), {"train.steps": 7, "optim.clip": 2.0}, frozenset({"optim.clip"})).train.steps
    7
    """
    sections: dict[str, dict[str, Any]] = {}
    for key, value in changes.items():
        section, _, name = key.partition(".")
        if key not in kept:
            sections.setdefault(section, {})[name] = value
    return config.model_copy(update={s: getattr(config, s).model_copy(update=new) for s, new in sections.items()})


@dataclass(frozen=True)
class Pace:
    """What a step of any shape takes here: something for each step, and something for each operation."""

    step_s: float
    flop_s: float

    def seconds(self, flops: float) -> float:
        """Return what a step of so many operations takes."""
        return self.step_s + flops * self.flop_s


FIRST_GUESS = Pace(0.0, 2e-11)


def pace_through(small: tuple[float, float], large: tuple[float, float]) -> Pace:
    """Return the pace that gives the seconds of two steps, each (operations, seconds).

    >>> pace_through((1.0, 3.0), (3.0, 7.0))
    Pace(step_s=1.0, flop_s=2.0)
    """
    flop_s = (large[1] - small[1]) / (large[0] - small[0])
    if not 0 < flop_s * small[0] <= small[1]:  # noise: no line through both makes sense
        return Pace(0.0, large[1] / large[0])
    return Pace(round(small[1] - flop_s * small[0], 9), flop_s)


def best_shape(prospect: Prospect, basis: RunConfig, seconds: float, pace: Pace) -> RunConfig:
    """Return the settings whose shape, of all there are, the law promises the least loss after some seconds of training."""
    configs = [_with_shape(basis, shape, prospect.kept) for shape in SHAPES]
    most = MOST_SIZE * prospect.unique_tokens
    known = [config for config in configs if count_size(config.model, prospect.dataset.vocab_size) <= most]

    def promise(config: RunConfig) -> float:
        return _promise(prospect, config, seconds, pace.seconds(_step_flops(config, prospect.dataset.vocab_size)))

    return min(known or configs[:1], key=promise)


def _promise(prospect: Prospect, config: RunConfig, seconds: float, step_s: float) -> float:
    """Return the loss that the law promises after some seconds of steps that take so long."""
    steps = max(1.0, seconds / step_s) * prospect.processes
    return _foretell(prospect, config, _useful_steps(prospect, config, steps))[0]


def _pick_shape(prospect: Prospect, basis: RunConfig, device: Device, left_s: float) -> tuple[RunConfig, float]:
    """Return the settings with the best shape, and what a step of it takes, measured.

    A guess of the machine's speed chooses the first shape to measure; that and a larger one tell the speed of all.
    """
    dataset = prospect.dataset
    long = change(basis, {"train.steps": ENDLESS, "train.max_seconds": left_s}, prospect.kept)
    first = best_shape(prospect, long, left_s, FIRST_GUESS)
    width = first.model.d_model
    larger = _with_shape(long, next((s for s in SHAPES if s.width >= LARGER * width), SHAPES[-1]), prospect.kept)
    measured = [(config, measure_step(config, dataset, device)) for config in (first, larger)]
    points = [(_step_flops(config, dataset.vocab_size), step_s) for config, step_s in measured]
    chosen = best_shape(prospect, long, left_s, pace_through(*points)) if larger != first else first
    measured.append((chosen, measure_step(chosen, dataset, device, as_long=True)))
    # On a busy machine the line may be far off: what was measured has the last word.
    return min(measured, key=lambda each: _promise(prospect, each[0], left_s, each[1]))


def _useful_steps(prospect: Prospect, config: RunConfig, steps: float) -> float:
    """Return how many of the steps that fit are made: those of the user, else as many as do not make it worse."""
    if "train.steps" in prospect.kept:
        return min(steps, config.train.steps)
    size = count_size(config.model, prospect.dataset.vocab_size)
    useful = useful_tokens(prospect.law, size, prospect.unique_tokens)
    return min(steps, max(LAWFUL_STEPS, useful / (config.train.batch_tokens * prospect.fill)))


def _fill_time(prospect: Prospect, config: RunConfig, step_s: float, asked_s: float, around_s: float) -> Plan:
    """Return the plan that trains for what is left of the time, beside looks and samples, or as long as it is of use."""
    heldout, docs, training_s = prospect.dataset.heldout, config.eval.heldout_docs, asked_s - around_s
    docs = max(1, min(docs, round(LOOKED_TOKENS * heldout.documents / heldout.tokens)))
    looked_tokens = heldout.tokens * min(1.0, docs / heldout.documents)
    look_s = (
        looked_tokens / config.train.batch_tokens * step_s * FORWARD_SHARE
        + config.generate.max_tokens * SAMPLED_TOKEN_S
    )
    every = max(1, round(max(SECONDS_BETWEEN_LOOKS, look_s / LOOKS_SHARE) / step_s))
    fit = training_s / (step_s + look_s / every) * prospect.processes
    steps = _useful_steps(prospect, config, fit)
    share = steps / fit
    most = _useful_steps(prospect, config, fit * MARGIN) if share == 1 else steps * USEFUL_MARGIN
    times = {
        "steps": round(most),  # more than are expected, since they may turn out faster: the clock ends the run
        "expected_steps": round(steps),
        "slack_seconds": round(min(SLACK * asked_s, MOST_SLACK_S), 1),
        "max_seconds": round(training_s * (1 if "train.steps" in prospect.kept else share), 1),
        "eval_every": every,
        "sample_every": every,
    }
    changes = {f"train.{name}": value for name, value in times.items()} | {"eval.heldout_docs": docs}
    planned = change(config, changes, prospect.kept)
    law, flops = prospect.law, steps * _step_flops(config, prospect.dataset.vocab_size)
    bits, if_new, tokens = _foretell(prospect, config, steps)
    epochs = tokens / prospect.unique_tokens
    is_rough = is_elsewhere(law, prospect.hardness, flops) or prospect.processes > 1 or epochs > MOST_EPOCHS
    return Plan(
        planned, asked_s, around_s + training_s * share, step_s, round(steps), epochs,
        bits, if_new, law.error_elsewhere if is_rough else law.error, is_rough,
        is_shortened="train.steps" not in prospect.kept and steps < SHORTENED * fit,
    )  # fmt: skip


def _foretell(prospect: Prospect, config: RunConfig, steps: float) -> tuple[float, float, float]:
    """Return the bits per byte after so many steps, the same if no document had to be seen twice, and the tokens seen."""
    size = count_size(config.model, prospect.dataset.vocab_size)
    tokens = steps * config.train.batch_tokens * prospect.fill
    bits, if_new = (
        foretell(prospect.law, prospect.hardness, size, tokens, unique) for unique in (prospect.unique_tokens, math.inf)
    )
    return bits, if_new, tokens


def measure_step(config: RunConfig, dataset: Dataset, device: Device, *, as_long: bool = False) -> float:
    """Return the median seconds of a training step on a throwaway model; fewer steps are measured where they are long.

    `as_long` makes it as a run of these settings would: its blocks compiled where that saves time.
    """
    rows = pack_rows(dataset.train, config.model.max_seq_len, documents=20 * config.train.batch_tokens // 8)
    model = build_model(config, dataset.vocab_size, device)
    if device.world_size == 1:
        settle_attention(model, config, device, {})
        if as_long:
            settle_compile(model, config, device, {})
    optimizer = build_optimizer(model, config.optim, device.dtype)
    times: list[float] = []
    for step in range(WARM_STEPS + TIMED_STEPS):
        began = time.perf_counter()
        batch = batch_of_step(rows, config.rows_per_step, config.seed, step).to(model.lm_head.weight.device)
        train_step(model, optimizer, batch, step, Schedule(1000), rows_at_once=config.rows_at_once)
        times.append(time.perf_counter() - began)
        if step >= WARM_STEPS and sum(times) > MEASURING_S:
            break
    return statistics.median(times[WARM_STEPS:])


def _with_shape(config: RunConfig, shape: Shape, kept: frozenset[str]) -> RunConfig:
    model = with_shape(config.model, shape).model_dump()
    return change(config, {f"model.{name}": value for name, value in model.items()}, kept)


def _step_flops(config: RunConfig, vocab_size: int) -> float:
    return model_cost(config.model, vocab_size).training_flops_per_token * config.train.batch_tokens
