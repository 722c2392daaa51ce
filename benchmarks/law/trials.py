"""Trial runs that the law of `--minutes` is fitted to: many shapes and lengths, each to the end of its schedule.

What a trial costs is counted in operations, so that it may be made on any machine, on one thread, beside other work.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from claims.corpora import write_corpus_workspace

from dozero.config import load_config
from dozero.dataset.batch import batch_of_step
from dozero.dataset.rows import pack_rows
from dozero.dataset.shards import Dataset
from dozero.dataset.thin import thin_stream
from dozero.device import apply_device, pick_device
from dozero.eval.likelihood import measure_surprise
from dozero.eval.ngram import counted_bits_per_byte
from dozero.model.cost import model_cost
from dozero.pipeline.stages import Workspace, prepared
from dozero.settings import RunConfig
from dozero.train.learner import build_model
from dozero.train.optim import build_optimizer
from dozero.train.shapes import Shape, with_shape
from dozero.train.step import Schedule, train_step

COUNTED_ORDERS = (1, 2, 3, 4)


@dataclass(frozen=True)
class Trial:
    """One run: a corpus, a shape, so many operations; the rest as the settings of the corpus have it, unless told."""

    corpus: str
    width: int
    layers: int
    flops: float
    batch: int = 0
    """Tokens in a step; 0 takes what the settings have."""
    muon: float = 1.0
    """Factor on the learning rate of Muon in the settings."""
    adam: float = 1.0
    """Factor on that of AdamW."""
    share: float = 1.0
    """Share of the training documents that is seen."""
    seed: int = 0

    @property
    def key(self) -> str:
        """What tells it from others."""
        return json.dumps(asdict(self))


def open_corpus_workspace(name: str, folder: Path) -> tuple[RunConfig, Dataset]:
    """Return settings and data of a corpus, made in `folder` when they are not there yet."""
    file = folder / name / "run.toml"
    if not file.exists():
        write_corpus_workspace(name, file.parent)
    config = load_config(file)
    return config, prepared(config, Workspace(file.parent)).dataset


def trial_settings(trial: Trial, base: RunConfig, vocab_size: int) -> RunConfig:
    """Return the settings of a trial: as many steps as its operations are enough for."""
    model = with_shape(base.model, Shape(trial.width, trial.layers))
    batch = (trial.batch or base.train.batch_tokens) // model.max_seq_len * model.max_seq_len
    steps = round(trial.flops / (model_cost(model, vocab_size).training_flops_per_token * batch))
    optim = {"muon_lr": base.optim.muon_lr * trial.muon, "adam_lr": base.optim.adam_lr * trial.adam}
    return base.model_copy(
        update={
            "seed": trial.seed,
            "model": model,
            "optim": base.optim.model_copy(update=optim),
            "train": base.train.model_copy(update={"batch_tokens": batch, "steps": max(1, steps)}),
        }
    )


def make_trial(trial: Trial, base: RunConfig, dataset: Dataset, pause: Path | None) -> dict[str, object]:
    """Train and return what came of it; waits between two steps while the file `pause` exists."""
    config = trial_settings(trial, base, dataset.vocab_size)
    device = replace(pick_device("cpu"), threads=1)
    apply_device(device)
    model = build_model(config, dataset.vocab_size, device)
    optimizer = build_optimizer(model, config.optim, device.dtype)
    train = dataset.train if trial.share == 1 else thin_stream(dataset.train, trial.share)
    rows = pack_rows(train, config.model.max_seq_len)
    schedule, tokens, began = Schedule(config.train.steps), 0, time.process_time()
    for step in range(config.train.steps):
        while pause is not None and pause.exists():
            time.sleep(1)
        batch = batch_of_step(rows, config.rows_per_step, config.seed, step)
        train_step(model, optimizer, batch, step, schedule)
        tokens += batch.target_tokens
    seconds = time.process_time() - began
    heldout = measure_surprise(model, dataset.heldout)
    cost = model_cost(config.model, dataset.vocab_size)
    return {
        **asdict(trial),
        "dtype": str(device.dtype).removeprefix("torch."),
        "d_ff": config.model.d_ff,
        "batch_tokens": config.rows_per_step * config.model.max_seq_len,
        "muon_lr": config.optim.muon_lr,
        "adam_lr": config.optim.adam_lr,
        "momentum": config.optim.momentum,
        "steps": config.train.steps,
        "tokens": tokens,
        "unique_tokens": train.tokens,
        "training_flops": cost.training_flops_per_token * config.train.steps * config.rows_per_step * rows.T,
        "block_params": cost.block_params,
        "vocab_size": dataset.vocab_size,
        "tied": config.model.tie_embeddings,
        "nats_per_token": heldout.nats_per_token,
        "bits_per_byte": heldout.bits_per_byte,
        "counted_bits": [
            counted_bits_per_byte(train, dataset.heldout, dataset.vocab_size, order) for order in COUNTED_ORDERS
        ],
        "cpu_seconds": round(seconds, 1),
    }


def make_trials(trials: list[Trial], folder: Path, out: Path, pause: Path | None) -> None:
    """Make the trials that `out` does not hold yet, the cheapest first, and add a line there for each."""
    for trial in sorted(trials, key=lambda t: t.flops):
        if trial.key in {Trial(**{k: line[k] for k in asdict(trial)}).key for line in read_trials(out)}:
            continue
        result = make_trial(trial, *open_corpus_workspace(trial.corpus, folder), pause)
        with out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(result) + "\n")
        print(f"{trial}: {result['bits_per_byte']:.4f} bits per byte, {result['cpu_seconds']} s", file=sys.stderr)


def read_trials(*files: Path) -> Iterator[dict[str, object]]:
    """Yield the results in some files."""
    for file in files:
        if file.exists():
            yield from map(json.loads, file.read_text(encoding="utf-8").splitlines())
