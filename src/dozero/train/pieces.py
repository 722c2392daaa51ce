"""A checkpoint that no process could hold whole: each writes some of the tensors, and any number of processes read them.

The weights lie in files as Hugging Face shards a model, model-00001-of-00002.safetensors and so on with an index, so
that transformers opens the folder; the optimizer's state lies beside, named after the weights. Every tensor is whole
in its file, therefore a process of any team finds its rows there.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from dozero.durable import explain_os_errors, write_json
from dozero.errors import CheckpointError
from dozero.model.hf import INDEX
from dozero.model.transformer import Transformer
from dozero.train.optim import Optimizer
from dozero.train.shard import first_row, gather_rows, own_rows
from dozero.train.team import Team

STATE_INDEX = "optim.safetensors.index.json"


@dataclass(frozen=True)
class Piece:
    """The rows of a tensor that this process holds, from which row on, and the shape of the whole."""

    rows: Tensor
    first: int
    shape: tuple[int, ...]


def weight_pieces(team: Team, model: Transformer) -> dict[str, Piece]:
    """Return this process's pieces of the weights by name."""
    return {n: Piece(own_rows(p), first_row(team, len(p)), tuple(p.shape)) for n, p in model.named_parameters()}


def state_pieces(team: Team, optimizer: Optimizer) -> dict[str, Piece]:
    """Return this process's pieces of the optimizer's state, named after the weights they belong to."""
    pieces: dict[str, Piece] = {}
    for key, name, rows in _rows_of_state(optimizer):
        shape = tuple(optimizer.params[name].shape)
        pieces[f"{key}.{name}"] = Piece(rows, first_row(team, shape[0]), shape)
    return pieces


def _rows_of_state(optimizer: Optimizer) -> Iterator[tuple[str, str, Tensor]]:
    """Yield kind, weight and memory of each part of the state."""
    for i, names in enumerate(optimizer.stacks):
        for name, rows in zip(names, optimizer.state[f"momentum.{i}"].unbind(0), strict=True):
            yield "momentum", name, rows
    own = [own_rows(optimizer.params[name]) for name in optimizer.adam]
    for key in ("mean", "square"):
        parts = optimizer.state[key].split([p.numel() for p in own])
        for name, p, part in zip(optimizer.adam, own, parts, strict=True):
            yield key, name, part.view_as(p)


def write_pieces(team: Team, model: Transformer, optimizer: Optimizer, folder: Path) -> None:
    """Write weights and state to a folder that all processes see, each process its share of the tensors."""
    with explain_os_errors(folder):
        _write(team, weight_pieces(team, model), folder, INDEX)
        _write(team, state_pieces(team, optimizer), folder, STATE_INDEX)


def _write(team: Team, pieces: dict[str, Piece], folder: Path, index: str) -> None:
    stem = index.removesuffix(".safetensors.index.json")
    files = [f"{stem}-{rank + 1:05}-of-{team.size:05}.safetensors" for rank in range(team.size)]
    owner = {name: i % team.size for i, name in enumerate(pieces)}
    own: dict[str, Tensor] = {}
    for name, piece in pieces.items():
        whole = gather_rows(team, piece.rows, piece.shape[0]) if team.is_sharded else piece.rows
        if owner[name] == team.rank:
            own[name] = whole.cpu().contiguous()
    save_file(own, folder / files[team.rank], metadata={"format": "pt"})
    if team.rank == 0:
        size_bytes = sum(p.rows.element_size() * math.prod(p.shape) for p in pieces.values())
        weight_map = {name: files[rank] for name, rank in owner.items()}
        write_json(folder / index, {"metadata": {"total_size": size_bytes}, "weight_map": weight_map})


def holds_pieces(folder: Path) -> bool:
    """Return whether a checkpoint was written in pieces."""
    return (folder / STATE_INDEX).is_file()


def read_pieces(team: Team, model: Transformer, optimizer: Optimizer, folder: Path) -> None:
    """Fill weights and state with this process's rows of a checkpoint, whatever team wrote it."""
    for pieces, index in ((weight_pieces(team, model), INDEX), (state_pieces(team, optimizer), STATE_INDEX)):
        try:
            weight_map = json.loads((folder / index).read_text(encoding="utf-8"))["weight_map"]
            if set(weight_map) != set(pieces):
                raise CheckpointError("tensors of another model", where=folder / index)
            for file in sorted(set(weight_map.values())):
                _read(folder / file, {name: pieces[name] for name, at in weight_map.items() if at == file})
        except (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(f"cannot be read ({error})", where=folder / index) from None


def _read(file: Path, pieces: dict[str, Piece]) -> None:
    with safe_open(file, framework="pt") as stored:
        for name, piece in pieces.items():
            part = stored.get_slice(name)
            if tuple(part.get_shape()) != piece.shape:
                raise CheckpointError(
                    f"{name} has another shape", where=file, expected=piece.shape, got=tuple(part.get_shape())
                )
            if len(piece.rows):
                piece.rows.copy_(part[piece.first : piece.first + len(piece.rows)])
