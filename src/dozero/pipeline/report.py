"""Facts about any folder that dozero wrote, as plain data."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from dozero.artifact import MANIFEST, open_artifact, read_manifest
from dozero.errors import ArtifactError, DozeroError, ModelMismatch
from dozero.model.cost import model_cost
from dozero.model.hf import read_hf_config
from dozero.train.checkpoint import list_checkpoints
from dozero.train.log import read_log


def describe(path: Path) -> dict[str, Any]:
    """Return what a workspace, run or artifact is. Raises ArtifactError for anything else."""
    if (path / MANIFEST).is_file():
        return describe_artifact(path)
    if (path / "run.toml").is_file() and (path / "metrics.jsonl").is_file():
        return describe_run(path)
    if (path / "run.toml").is_file():
        return describe_workspace(path)
    raise ArtifactError(
        "not a folder that dozero wrote" if path.exists() else "no such folder",
        where=path,
        expected="a workspace, run, corpus, tokenizer, dataset, checkpoint or model",
    )


def describe_artifact(path: Path) -> dict[str, Any]:
    """Return the manifest's facts, whether the files agree with it, and for a model its shape."""
    manifest = read_manifest(path)
    facts: dict[str, Any] = {"kind": manifest.kind, "path": str(path), **manifest.about, **manifest.counts}
    if (path / "config.json").is_file():
        with suppress(ModelMismatch):  # a damaged one is told below, as the fault
            config, vocab_size = read_hf_config(path / "config.json")
            facts["model"] = {
                "architecture": config.architecture,
                "parameters": model_cost(config, vocab_size).params,
                **config.model_dump(),
            }
    try:
        open_artifact(path, manifest.kind)
        facts["intact"] = True
    except DozeroError as error:
        facts["intact"], facts["fault"] = False, str(error)
    facts["made from"] = manifest.inputs
    facts["made in seconds"] = manifest.seconds
    facts["versions"] = manifest.versions
    facts["files"] = {name: f"{entry['bytes']} bytes" for name, entry in manifest.files.items()}
    return facts


def describe_run(path: Path) -> dict[str, Any]:
    """Return how far a run is, its last losses and samples, and which of its checkpoints are intact."""
    metrics, samples = read_log(path / "metrics.jsonl"), read_log(path / "samples.jsonl")
    losses = [line for line in metrics if "loss" in line]
    heldout = [line for line in metrics if "heldout_loss" in line]
    return {
        "kind": "run",
        "path": str(path),
        "finished": (path / "model").is_dir(),
        "step": losses[-1]["step"] if losses else 0,
        "loss (nats a token)": losses[-1]["loss"] if losses else None,
        "held-out loss (nats a token)": heldout[-1]["heldout_loss"] if heldout else None,
        "last samples": [line["text"] for line in samples[-5:]],
        "checkpoints": {p.name: _state_of(p) for p in list_checkpoints(path)},
    }


def describe_workspace(path: Path) -> dict[str, Any]:
    """Return the stages and runs of a workspace."""
    work = [path / "work" / name for name in ("corpus", "tokenizer", "dataset")]
    runs = sorted(p for p in (path / "runs").glob("*") if (p / "run.toml").is_file())
    return {
        "kind": "workspace",
        "path": str(path),
        "stages": {p.name: _stage(p) if (p / MANIFEST).is_file() else "not made" for p in work},
        "runs": {p.name: describe_run(p) for p in runs},
    }


def _stage(path: Path) -> dict[str, Any]:
    """Return the facts of a stage without those that only matter when one looks at it alone."""
    try:
        facts = describe_artifact(path)
    except ArtifactError as error:  # its manifest cannot be read: the others still can
        return {"intact": False, "fault": str(error)}
    return {k: v for k, v in facts.items() if k not in ("kind", "made from", "versions", "files", "made in seconds")}


def _state_of(checkpoint: Path) -> str:
    try:
        open_artifact(checkpoint, "checkpoint")
    except DozeroError as error:
        return str(error)
    return "intact"
