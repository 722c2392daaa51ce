"""A run made again from its own records, and held against itself: the same weights, bit for bit, or the first difference."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dozero.artifact import Manifest, open_artifact, read_manifest
from dozero.config import build_config
from dozero.dataset.shards import open_dataset
from dozero.device import Device, apply_device, pick_device
from dozero.errors import ArtifactError, CheckpointError
from dozero.pipeline.events import StageDone
from dozero.pipeline.prove import Difference, difference_of_logs, difference_of_tensors
from dozero.pipeline.stages import Prepared, Workspace, prepare
from dozero.pipeline.surroundings import look_around
from dozero.settings import RunConfig
from dozero.tokenizer.files import read_tokenizer_json
from dozero.tokenizer.tokenizer import Tokenizer
from dozero.train.checkpoint import list_checkpoints
from dozero.train.events import Event
from dozero.train.log import read_log
from dozero.train.loop import train
from dozero.train.session import Earlier

WEIGHTS, STATE = "model.safetensors", "state.json"


@dataclass(frozen=True)
class Record:
    """What a finished run tells of how it was made."""

    run: Path
    config: RunConfig
    manifest: Manifest
    earlier: Earlier
    """What the clock decided in it, and versions, threads and processor of its last checkpoint; none if that is gone."""

    @property
    def sha256(self) -> str:
        """SHA-256 of the weights."""
        return self.manifest.files[WEIGHTS]["sha256"]


@dataclass(frozen=True)
class StageCompared:
    """A stage of the data was made again: is it the same?"""

    stage: str
    is_same: bool


@dataclass(frozen=True)
class Reproduced:
    """What came of making a run again."""

    run: str
    again: str
    sha256: str
    """Of the weights of the run."""
    sha256_again: str
    steps: int
    difference: Difference | None
    """The first place where they differ: in a line of the logs, else in a number of the weights."""
    machine: tuple[str, ...] | None
    """What differs between the machine of then and this one: "threads: 1 -> 2". None if nobody wrote that down."""

    @property
    def is_identical(self) -> bool:
        """Whether logs and weights are the same, bit for bit."""
        return self.difference is None and self.sha256 == self.sha256_again


def read_record(run: Path) -> Record:
    """Return how a finished run was made; ArtifactError for one that cannot be made again, with the reason."""
    if not (run / "model").is_dir():
        raise ArtifactError("not finished, so there is nothing to hold against", where=run, next=f"dozero train {run}")
    manifest = open_artifact(run / "model", "model")
    state = _read_state(run)
    machine: dict[str, str] = state.get("machine", {})
    datasets = state.get("datasets", {})
    if len(datasets) > 1:
        steps = ", ".join(f"step {step}" for step in datasets)
        raise ArtifactError(
            "was trained on more than one dataset", where=run, expected="one", got=f"others from {steps}"
        )
    if machine.get("processes", "1") != "1":
        raise ArtifactError(
            "was trained by several processes, whose sums come in another order", where=run,
            expected="1 process, or train.verify_slots", got=machine["processes"],
        )  # fmt: skip
    replans = {line["step"]: line["total_steps"] for line in read_log(run / "timings.jsonl") if "total_steps" in line}
    return Record(run, build_config(manifest.config, where=str(run)), manifest, Earlier(replans, machine))


def _read_state(run: Path) -> dict[str, Any]:
    """Return the state in the newest checkpoint; nothing if there is none."""
    for checkpoint in list_checkpoints(run):
        try:
            return json.loads((checkpoint / STATE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
    return {}


def device_of(record: Record) -> Device:
    """Return the device of a record, with the threads it was made with, applied to this process."""
    threads = int(record.earlier.machine.get("threads", record.config.train.threads))
    device = pick_device(record.config.train.device, record.config.train.dtype, threads)
    apply_device(device)
    return device


def reproduce(
    record: Record, out: Path, device: Device, processes: int = 1, *, from_text: bool = False
) -> Iterator[StageDone | StageCompared | Event | Reproduced]:
    """Train a run again in the workspace `out`, yielding what happens and what came of it at the end.

    On the dataset it was trained on; `from_text` makes that anew, too, and tells of each stage whether it is the same.
    """
    workspace = Workspace(out, record.run.name)
    dataset, tokenizer = None, None
    if from_text:
        for event in prepare(record.config, workspace, processes):
            if isinstance(event, Prepared):
                dataset, tokenizer = event.dataset, event.tokenizer
            elif isinstance(event, StageDone):
                yield event
                yield from _compare_stage(record, event)
    else:
        dataset, tokenizer = open_dataset(_dataset_of(record)), _tokenizer_of(record)
    assert dataset is not None
    assert tokenizer is not None
    yield from train(record.config, dataset, tokenizer, workspace.run, device, earlier=record.earlier)
    yield _compare(record, workspace.run)


def _dataset_of(record: Record) -> Path:
    dataset = look_around(record.run / "model").dataset
    if dataset is None:
        raise ArtifactError(
            "the dataset it was trained on is no longer here", where=record.run,
            expected=f"one with the fingerprint {record.manifest.inputs['dataset'][:16]}...",
            next=f"dozero reproduce {record.run} --from-text",
        )  # fmt: skip
    return dataset


def _tokenizer_of(record: Record) -> Tokenizer:
    return read_tokenizer_json(record.run / "model" / "tokenizer.json")


def _compare_stage(record: Record, made: StageDone) -> Iterator[StageCompared]:
    """Yield whether a stage made anew is the one of the run's workspace, as far as that is known."""
    there = record.run.parent.parent / "work" / made.stage
    if made.stage == "dataset":
        yield StageCompared(made.stage, made.manifest.fingerprint == record.manifest.inputs["dataset"])
    elif (there / "manifest.json").is_file():
        yield StageCompared(made.stage, made.manifest.fingerprint == read_manifest(there).fingerprint)


def _compare(record: Record, again: Path) -> Reproduced:
    made = open_artifact(again / "model", "model")
    steps = int(record.manifest.counts["step"])
    difference = difference_of_logs(record.run, again) or difference_of_tensors(
        WEIGHTS, steps, record.run / "model" / WEIGHTS, again / "model" / WEIGHTS
    )
    then, now = record.earlier.machine, _read_state(again).get("machine", {})
    machine = tuple(f"{name}: {was} -> {now[name]}" for name, was in then.items() if now.get(name, was) != was)
    sha256 = made.files[WEIGHTS]["sha256"]
    return Reproduced(
        str(record.run), str(again), record.sha256, sha256, steps, difference, machine if then and now else None
    )


def check_reproduced(result: Reproduced) -> None:
    """Raise CheckpointError if a run came out otherwise."""
    if not result.is_identical:
        raise CheckpointError(
            "the run was not reproduced", where=result.again, next=f"dozero compare {result.run} {result.again}"
        )
