"""A model of which each process holds a share: some rows of every weight and of its optimizer's state (FSDP2).

torch gathers the weights of a block when it is needed and adds up its gradients, a share for each process; what is
here lets our optimizer live with that. Muon needs whole matrices: a few are gathered at a time. What only shards need of
torch is imported where it is used: it takes most of a second, which every start would pay.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn

from dozero.model.transformer import Transformer
from dozero.settings import OptimConfig
from dozero.train.optim import Optimizer, adam_update, build_optimizer
from dozero.train.split_update import share_directions, step_along
from dozero.train.team import Team

GATHERED_ELEMENTS = 16_000_000  # of a stack of matrices gathered at once, where one for each process is not more


def shard_model(team: Team, model: Transformer) -> None:
    """Leave in this process only its rows of each weight, block after block, on the team's device."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(team.device, (team.size,))
    for block in model.model.layers:
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh, reshard_after_forward=True)  # looks go forward only, and then a save wants shares


def build_sharded_optimizer(model: Transformer, config: OptimConfig, dtype: torch.dtype = torch.float32) -> Optimizer:
    """Return an optimizer like `build_optimizer`'s, whose state is of this process's rows only."""
    with torch.device("meta"):  # the same families and stacks, without memory
        whole = build_optimizer(Transformer(model.config, model.vocab_size), config, dtype)
    params = dict(model.named_parameters())
    own = {name: own_rows(p) for name, p in params.items()}
    momentum = {
        f"momentum.{i}": torch.stack([torch.zeros_like(own[name]) for name in names])
        for i, names in enumerate(whole.stacks)
    }
    size, like = sum(own[name].numel() for name in whole.adam), own[whole.adam[0]]
    adam = {key: torch.zeros(size, dtype=like.dtype, device=like.device) for key in ("mean", "square")}
    return replace(whole, params=params, state=momentum | adam)


def own_rows(p: Tensor) -> Tensor:
    """Return the rows of a tensor that this process holds, as plain memory: what changes them changes it."""
    from torch.distributed.tensor import DTensor

    return (p.to_local() if isinstance(p, DTensor) else p).detach()


def first_row(team: Team, rows: int) -> int:
    """Return which row of so many is the first of this process: equal shares rounded up, the last ones smaller.

    >>> [first_row(Team(rank=rank, size=4), 6) for rank in range(4)]
    [0, 2, 4, 6]
    """
    return min(rows, team.rank * rows_each(team, rows))


def rows_each(team: Team, rows: int) -> int:
    """Return how many of the rows a process holds, but for the last ones.

    >>> rows_each(Team(size=4), 6)
    2
    """
    return math.ceil(rows / team.size)


def gather_rows(team: Team, own: Float[Tensor, "own ..."], rows: int) -> Float[Tensor, "rows ..."]:
    """Return the whole tensor of which each process holds some rows."""
    padded = own.new_zeros(rows_each(team, rows), *own.shape[1:])
    padded[: len(own)] = own
    parts = padded.new_empty(team.size, *padded.shape)
    dist.all_gather(list(parts.unbind(0)), padded)
    return parts.flatten(0, 1)[:rows]


@torch.no_grad()
def clip_shards(team: Team, optimizer: Optimizer) -> Float[Tensor, ""]:
    """Scale the gradient down to the length allowed, and return the length it had: that of the whole model's.

    FSDP2 leaves the mean over processes where the sum is meant, since each loss is divided by the whole step.
    """
    grads = [own_rows(p.grad) for p in optimizer.params.values() if p.grad is not None]
    squares = torch.zeros((), device=grads[0].device)
    for g in grads:
        squares += g.mul_(team.size).square().sum()
    dist.all_reduce(squares)
    norm = squares.sqrt()
    for g in grads:
        g.mul_((optimizer.config.clip / (norm + 1e-6)).clamp(max=1.0))
    return norm


@torch.no_grad()
def update_shards(team: Team, optimizer: Optimizer, step: int, scale: float) -> None:
    """Do what `update` does to the rows that this process holds."""
    config, state = optimizer.config, optimizer.state
    own = {name: _own_parameter(p) for name, p in optimizer.params.items()}
    for i, names in enumerate(optimizer.stacks):
        rows, cols = optimizer.params[names[0]].shape
        for begin, end in _portions(team, len(names), rows * cols):
            params, momentum = [own[name] for name in names[begin:end]], state[f"momentum.{i}"][begin:end]
            grads = torch.stack([p.grad for p in params if p.grad is not None])
            momentum.lerp_(grads, 1 - config.momentum)
            g = grads.lerp_(momentum, config.momentum).to(optimizer.dtype)
            whole = gather_rows(team, g.transpose(0, 1), rows).transpose(0, 1)
            first = first_row(team, rows)
            directions = share_directions(team, [whole])[0][:, first : first + g.shape[1]]
            step_along(params, directions, config, scale, optimizer.params[names[0]].shape)
    adam = [own[name] for name in optimizer.adam]
    adam_update(adam, state["mean"], state["square"], config, config.adam_lr * scale, step + 1)


def _portions(team: Team, matrices: int, elements: int) -> Iterator[tuple[int, int]]:
    """Yield from where to where a stack is gathered: one matrix for each process, or more while they are small."""
    at_once = team.size * max(1, GATHERED_ELEMENTS // (team.size * elements))
    for begin in range(0, matrices, at_once):
        yield begin, min(begin + at_once, matrices)


def _own_parameter(p: nn.Parameter) -> nn.Parameter:
    """Return the rows of a parameter that this process holds, and their gradient, as a parameter."""
    assert p.grad is not None, "update before backward"
    own = nn.Parameter(own_rows(p), requires_grad=False)
    own.grad = own_rows(p.grad)
    return own


def gather_model(team: Team, model: Transformer) -> Transformer:
    """Return the whole model in the leader's main memory; in the others one that holds nothing."""
    with torch.device("cpu" if team.rank == 0 else "meta"):
        whole = Transformer(model.config, model.vocab_size, model.dtype)
    targets = dict(whole.named_parameters())
    for name, p in model.named_parameters():
        gathered = gather_rows(team, own_rows(p), len(p))
        if team.rank == 0:
            targets[name].data.copy_(gathered)
    return whole
