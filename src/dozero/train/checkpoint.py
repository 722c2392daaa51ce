"""Checkpoints: everything a run is at one step, written whole, verified before use.

A checkpoint is a model folder (transformers opens it) with the optimizer's state and the place in the run beside.
The order of data follows from (seed, step), so nothing else needs saving.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from dozero.artifact import FORMAT, MANIFEST, Manifest, open_artifact, sweep_leftovers, versions, write_artifact
from dozero.durable import write_json
from dozero.errors import ArtifactError, CheckpointError, ModelMismatch
from dozero.model.hf import load_weights, write_model_files
from dozero.model.transformer import Transformer
from dozero.tokenizer.tokenizer import Tokenizer
from dozero.train.attention import attention_of
from dozero.train.compiled import compiling_of
from dozero.train.divergence import Rollback
from dozero.train.optim import Optimizer
from dozero.train.pieces import holds_pieces, read_pieces, write_pieces
from dozero.train.step import Schedule
from dozero.train.team import Call, Order, Team, noticing_lost_peers, share_text, tell

STATE_FORMAT = 1
ROOM = 1.2  # of the size of the last checkpoint: what the disk must have before the next one is begun


@dataclass
class RunState:
    """The place in a run, apart from weights: what continues a run besides model and optimizer."""

    step: int
    schedule: Schedule
    tokens: int = 0
    seconds: float = 0.0
    machine: dict[str, str] = field(default_factory=dict)
    losses: list[float] = field(default_factory=list)
    """Of the last good steps: what the next ones are held against."""
    skips_in_a_row: int = 0
    rollbacks: list[Rollback] = field(default_factory=list)
    """Each time that the run went back, with the windows of data it passes over since."""
    datasets: dict[str, str] = field(default_factory=dict)
    """Fingerprint of the dataset, under the step from which on it was trained on that one."""
    format: int = STATE_FORMAT
    """Version of this layout."""


def machine_facts(
    dtype: torch.dtype = torch.float32, team: Team | None = None, ways: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return what must not change for a continued run to give the same bits; in slots, any team gives them."""
    return {
        **versions(),
        "threads": str(torch.get_num_threads()),
        "processes": str(1 if team is None or team.slots else team.size),
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
        "dtype": str(dtype).removeprefix("torch."),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        **(ways or {"attention": "auto", "compile": "off"}),
    }


def ways_of(model: Transformer) -> dict[str, str]:
    """Return in which ways a model computes what could be computed otherwise."""
    return {"attention": attention_of(model), "compile": compiling_of(model)}


def checkpoint_path(run: Path, step: int) -> Path:
    """Return the folder of the checkpoint after `step` updates."""
    return run / "checkpoints" / f"step-{step:06d}"


def list_checkpoints(run: Path) -> list[Path]:
    """Return the checkpoint folders of a run, the newest first."""
    found = (p for p in (run / "checkpoints").glob("step-*") if p.is_dir() and p.name.removeprefix("step-").isdigit())
    return sorted(found, key=_step_of, reverse=True)


def _step_of(path: Path) -> int:
    return int(path.name.removeprefix("step-"))


def save_checkpoint(
    run: Path,
    state: RunState,
    model: Transformer,
    optimizer: Optimizer,
    tokenizer: Tokenizer,
    keep: int,
    keep_step: int | None = None,
    team: Team | None = None,
) -> Path:
    """Write the checkpoint of this moment, then delete all but the newest `keep` and that of `keep_step`.

    Raises ArtifactError before anything is written where the disk has less room than the last one took, and a fifth.
    A team that shards writes it in pieces, all of its processes at once (`save_share` is the others' part).
    """
    path = checkpoint_path(run, state.step)
    check_room(run)
    state.machine = machine_facts(optimizer.dtype, team, ways_of(model))
    with write_artifact(path, Manifest(kind="checkpoint", counts={"step": state.step})) as folder:
        if team is not None and team.shard:
            write_model_files(model, tokenizer, folder, weights=False)
            tell(team, Call(Order.SAVE, state.step, state.schedule))
            share_text(team, str(folder.resolve()))
            save_share(team, model, optimizer, folder)
        else:
            write_model_files(model, tokenizer, folder)
            save_file(optimizer.state, folder / "optim.safetensors")
        write_json(folder / "state.json", asdict(state))
    for old in list_checkpoints(run)[keep:]:
        if keep_step is None or old != checkpoint_path(run, keep_step):
            shutil.rmtree(old, ignore_errors=True)
    return path


def check_room(run: Path) -> None:
    """Raise ArtifactError if the next checkpoint of a run may not fit the disk, judging by the last one."""
    checkpoints = list_checkpoints(run)
    if not checkpoints:
        return
    needed = ROOM * sum(file.stat().st_size for file in checkpoints[0].iterdir())
    free = shutil.disk_usage(run).free
    if needed > free:
        raise ArtifactError(
            f"cannot be written: {os.strerror(errno.ENOSPC)}",
            where=run / "checkpoints",
            expected=f"{needed / 1e6:.2f} MB free",
            got=f"{free / 1e6:.2f} MB free",
            next="free some space and give the same command; the checkpoints there are intact",
        )


def save_share(team: Team, model: Transformer, optimizer: Optimizer, folder: Path) -> None:
    """Write this process's share of a checkpoint and return when every process of the team has."""
    with noticing_lost_peers(team):
        write_pieces(team, model, optimizer, folder)
        if team.size > 1:
            dist.barrier()


def load_newest(
    run: Path, model: Transformer, optimizer: Optimizer, team: Team | None = None
) -> tuple[RunState | None, tuple[tuple[Path, str], ...]]:
    """Load the newest intact checkpoint into model and optimizer.

    Returns its state (None when there is none) and the broken ones passed over, each set aside under a name
    ending in `.broken` and told with the reason. Raises CheckpointError when all are broken; they stay where they are.
    """
    passed: list[tuple[Path, str]] = []
    _refuse_newer_formats(run)
    for left in (run / "checkpoints").glob(".*-step-*-*"):
        sweep_leftovers(left.with_name(left.name.split("-", 1)[1].rpartition("-")[0]))
    for path in list_checkpoints(run):
        try:
            state = load_checkpoint(path, model, optimizer, team)
        except (ArtifactError, ModelMismatch) as error:
            passed.append((path, str(error)))
        else:
            return state, tuple((_set_aside(broken), reason) for broken, reason in passed)
    if passed:
        raise CheckpointError(
            f"no checkpoint of this run is intact ({passed[0][1]})", where=run, next="the same command with --fresh"
        )
    return None, ()


def load_to_go_back(
    run: Path, step: int, model: Transformer, optimizer: Optimizer, team: Team | None = None
) -> RunState:
    """Load the checkpoint of a step, or the newest intact one before it, or else the oldest after it.

    What it loads is then the newest: those after it, of a way that led to a bad step, are deleted.
    """
    newest_first = list_checkpoints(run)
    before = [path for path in newest_first if _step_of(path) <= step]
    for path in (*before, *reversed(newest_first[: len(newest_first) - len(before)])):
        try:
            state = load_checkpoint(path, model, optimizer, team)
        except (ArtifactError, ModelMismatch):
            continue
        for newer in newest_first[: newest_first.index(path)]:
            shutil.rmtree(newer, ignore_errors=True)
        return state
    raise CheckpointError("no checkpoint to go back to is intact", where=run, next="the same command with --fresh")


def load_checkpoint(path: Path, model: Transformer, optimizer: Optimizer, team: Team | None = None) -> RunState:
    """Verify a checkpoint, load it into model and optimizer (in a team that shards, this process's rows) and return its state."""
    open_artifact(path, "checkpoint")
    in_pieces = holds_pieces(path)
    if in_pieces:
        read_pieces(team or Team(), model, optimizer, path)
    else:
        load_weights(model, path / "model.safetensors")
    try:
        stored = {} if in_pieces else load_file(path / "optim.safetensors")
        state = _read_state(path)
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"cannot be read ({error})", where=path) from None
    shapes = {name: t.shape for name, t in stored.items()}
    if not in_pieces and shapes != {name: t.shape for name, t in optimizer.state.items()}:
        raise CheckpointError("optimizer state of another model", where=path / "optim.safetensors")
    for name, t in stored.items():
        optimizer.state[name].copy_(t)
    return state


def _read_state(path: Path) -> RunState:
    """Return the state of a checkpoint, of this version's layout or an older one's."""
    tree = json.loads((path / "state.json").read_text(encoding="utf-8"))
    rollbacks = [Rollback(**rollback) for rollback in tree.get("rollbacks", ())]
    tree |= {"schedule": Schedule(**tree["schedule"]), "rollbacks": rollbacks, "format": STATE_FORMAT}
    return RunState(**tree)


def _refuse_newer_formats(run: Path) -> None:
    """Raise CheckpointError if a newer version wrote here: what it wrote is not broken, and is not set aside as such."""
    for path in list_checkpoints(run):
        found = 0
        for name, ours in (("state.json", STATE_FORMAT), (MANIFEST, FORMAT)):
            with suppress(OSError, ValueError, AttributeError):
                found = json.loads((path / name).read_text(encoding="utf-8")).get("format", 0)
            if isinstance(found, int) and found > ours:
                raise CheckpointError(
                    "written by a newer version of dozero", where=path / name, expected=f"format {ours} or older",
                    got=f"format {found}", next="pip install -U dozero",
                )  # fmt: skip


def _set_aside(path: Path) -> Path:
    aside = path.with_name(path.name + ".broken")
    shutil.rmtree(aside, ignore_errors=True)
    os.rename(path, aside)
    return aside
