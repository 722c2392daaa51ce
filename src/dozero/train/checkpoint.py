"""Checkpoints: everything a run is at one step, written whole, verified before use.

A checkpoint is a model folder (transformers opens it) with the optimizer's state and the place in the run beside.
The order of data follows from (seed, step), so nothing else needs saving.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from dozero.artifact import Manifest, open_artifact, sweep_leftovers, versions, write_artifact, write_json
from dozero.errors import ArtifactError, CheckpointError, ModelMismatch
from dozero.model.hf import load_weights, write_model_files
from dozero.model.transformer import Transformer
from dozero.tokenizer.tokenizer import Tokenizer
from dozero.train.optim import Optimizer
from dozero.train.pieces import holds_pieces, read_pieces, write_pieces
from dozero.train.step import Schedule
from dozero.train.team import Team, noticing_lost_peers, share_text


@dataclass
class RunState:
    """The place in a run, apart from weights: what continues a run besides model and optimizer."""

    step: int
    schedule: Schedule
    tokens: int = 0
    seconds: float = 0.0
    machine: dict[str, str] = field(default_factory=dict)


def machine_facts(team: Team | None = None) -> dict[str, str]:
    """Return what must not change for a continued run to give the same bits; in slots, any team gives them."""
    precision = torch.get_float32_matmul_precision()
    processes = 1 if team is None or team.slots else team.size
    facts = {"threads": torch.get_num_threads(), "processes": processes, "float32_matmul_precision": precision}
    return versions() | {name: str(fact) for name, fact in facts.items()}


def checkpoint_path(run: Path, step: int) -> Path:
    """Return the folder of the checkpoint after `step` updates."""
    return run / "checkpoints" / f"step-{step:06d}"


def list_checkpoints(run: Path) -> list[Path]:
    """Return the checkpoint folders of a run, the newest first."""
    steps = {p: p.name.removeprefix("step-") for p in (run / "checkpoints").glob("step-*") if p.is_dir()}
    return sorted((p for p, step in steps.items() if step.isdigit()), key=lambda p: int(steps[p]), reverse=True)


def save_checkpoint(
    run: Path,
    state: RunState,
    model: Transformer,
    optimizer: Optimizer,
    tokenizer: Tokenizer,
    keep: int,
    team: Team | None = None,
) -> Path:
    """Write the checkpoint of this moment, then delete all but the newest `keep`.

    A team that shards writes it in pieces, all of its processes at once (`save_share` is the others' part).
    """
    path = checkpoint_path(run, state.step)
    state.machine = machine_facts(team)
    with write_artifact(path, Manifest(kind="checkpoint", counts={"step": state.step})) as folder:
        if team is not None and team.shard:
            write_model_files(model, tokenizer, folder, weights=False)
            share_text(team, str(folder.resolve()))
            save_share(team, model, optimizer, folder)
        else:
            write_model_files(model, tokenizer, folder)
            save_file(optimizer.state, folder / "optim.safetensors")
        write_json(folder / "state.json", asdict(state))
    for old in list_checkpoints(run)[keep:]:
        shutil.rmtree(old, ignore_errors=True)
    return path


def save_share(team: Team, model: Transformer, optimizer: Optimizer, folder: Path) -> None:
    """Write this process's share of a checkpoint and return when every process of the team has."""
    write_pieces(team, model, optimizer, folder)
    if team.size > 1:
        with noticing_lost_peers(team):
            dist.barrier()


def load_newest(
    run: Path, model: Transformer, optimizer: Optimizer, team: Team | None = None
) -> tuple[RunState | None, tuple[tuple[Path, str], ...]]:
    """Load the newest intact checkpoint into model and optimizer.

    Returns its state (None when there is none) and the broken ones passed over, each set aside under a name
    ending in `.broken` and told with the reason. Raises CheckpointError when all are broken; they stay where they are.
    """
    passed: list[tuple[Path, str]] = []
    for left in (run / "checkpoints").glob(".*-step-*-*"):
        sweep_leftovers(left.with_name(left.name.split("-", 1)[1].rpartition("-")[0]))
    for path in list_checkpoints(run):
        try:
            open_artifact(path, "checkpoint")
            state = _load(path, model, optimizer, team or Team())
        except (ArtifactError, ModelMismatch) as error:
            passed.append((path, str(error)))
        else:
            return state, tuple((_set_aside(broken), reason) for broken, reason in passed)
    if passed:
        raise CheckpointError(
            f"no checkpoint of this run is intact ({passed[0][1]})", where=run, next="the same command with --fresh"
        )
    return None, ()


def _load(path: Path, model: Transformer, optimizer: Optimizer, team: Team) -> RunState:
    in_pieces = holds_pieces(path)
    if in_pieces:
        read_pieces(team, model, optimizer, path)
    else:
        load_weights(model, path / "model.safetensors")
    try:
        stored = {} if in_pieces else load_file(path / "optim.safetensors")
        tree = json.loads((path / "state.json").read_text(encoding="utf-8"))
        state = RunState(**{**tree, "schedule": Schedule(**tree["schedule"])})
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"cannot be read ({error})", where=path) from None
    shapes = {name: t.shape for name, t in stored.items()}
    if not in_pieces and shapes != {name: t.shape for name, t in optimizer.state.items()}:
        raise CheckpointError("optimizer state of another model", where=path / "optim.safetensors")
    for name, t in stored.items():
        optimizer.state[name].copy_(t)
    return state


def _set_aside(path: Path) -> Path:
    aside = path.with_name(path.name + ".broken")
    shutil.rmtree(aside, ignore_errors=True)
    os.rename(path, aside)
    return aside
