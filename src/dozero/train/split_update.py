"""The update of weights in several processes: each orthogonalises some of Muon's matrices, and all step alike."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor

from dozero.settings import OptimConfig
from dozero.train.optim import Optimizer, adam_update, orthogonalize
from dozero.train.team import Team


@torch.no_grad()
def update_by_turns(team: Team, optimizer: Optimizer, step: int, scale: float) -> None:
    """Do what `update` does, the matrices of Muon shared out: orthogonalising is a fifth of a small model's step.

    All that is told between processes is told before anything changes, so that a lost peer leaves the state whole.
    """
    config, state, params = optimizer.config, optimizer.state, optimizer.params
    moved: list[tuple[Tensor, Tensor]] = []
    for i, names in enumerate(optimizer.stacks):
        grads = torch.stack(gradients_of([params[name] for name in names]))
        momentum = state[f"momentum.{i}"].lerp(grads, 1 - config.momentum)
        moved.append((momentum, share_directions(team, grads.lerp_(momentum, config.momentum).to(optimizer.dtype))))
    for i, (names, (momentum, direction)) in enumerate(zip(optimizer.stacks, moved, strict=True)):
        state[f"momentum.{i}"].copy_(momentum)
        rows, cols = params[names[0]].shape
        step_along([params[name] for name in names], direction, config, muon_rate(config, scale, rows, cols))
    adam = [params[name] for name in optimizer.adam]
    adam_update(adam, state["mean"], state["square"], config, config.adam_lr * scale, step + 1)


def muon_rate(config: OptimConfig, scale: float, rows: int, cols: int) -> float:
    """Return Muon's learning rate for whole matrices of a shape: tall ones take a larger step, as in optim.py."""
    return config.muon_lr * scale * math.sqrt(max(1.0, rows / cols))


def step_along(params: Sequence[Tensor], directions: Tensor, config: OptimConfig, lr: float) -> None:
    """Move matrices, or some of their rows, against their directions; decay them first."""
    for p, d in zip(params, directions, strict=True):
        if config.weight_decay:
            p.mul_(1 - lr * config.weight_decay)
        p.sub_(d.to(p.dtype), alpha=lr)


def gradients_of(params: Sequence[Tensor]) -> list[Tensor]:
    """Return the gradients, which must be there."""
    grads = [p.grad for p in params]
    assert all(g is not None for g in grads), "update before backward"
    return [g for g in grads if g is not None]


def share_directions(team: Team, g: Float[Tensor, "N rows cols"]) -> Float[Tensor, "N rows cols"]:
    """Return the orthogonalised matrices of a stack, of which each process computes its part."""
    each = math.ceil(len(g) / team.size)
    own = g[team.rank * each : (team.rank + 1) * each]
    part = g.new_zeros(each, *g.shape[1:])
    if len(own):
        part[: len(own)] = orthogonalize(own)
    parts = g.new_empty(team.size, *part.shape)
    dist.all_gather(list(parts.unbind(0)), part)
    return parts.flatten(0, 1)[: len(g)]
