"""The update of weights in several processes: each orthogonalises some of Muon's matrices, and all step alike."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Size, Tensor

from dozero.settings import OptimConfig
from dozero.train.kernels import Kernels
from dozero.train.optim import Optimizer, adam_update, orthogonalize
from dozero.train.team import Team


@torch.no_grad()
def update_by_turns(team: Team, optimizer: Optimizer, step: int, scale: float, kernels: Kernels | None = None) -> None:
    """Do what `update` does, the matrices of Muon shared out: orthogonalising is a fifth of a small model's step.

    All that is told between processes is told before anything changes, so that a lost peer leaves the state whole.
    """
    config, state, params = optimizer.config, optimizer.state, optimizer.params
    momenta, wanted = list[Tensor](), list[Tensor]()
    for i, names in enumerate(optimizer.stacks):
        grads, momentum = gradients_of([params[name] for name in names]), state[f"momentum.{i}"]
        if kernels is not None:
            momenta.append(momentum.clone())
            wanted.append(torch.empty_like(momentum, dtype=optimizer.dtype))
            for g, m, w in zip(grads, momenta[i], wanted[i], strict=True):
                kernels.blend(g.contiguous(), m, w, config.momentum)
            continue
        stacked = torch.stack(grads)
        momenta.append(momentum.lerp(stacked, 1 - config.momentum))
        wanted.append(stacked.lerp_(momenta[i], config.momentum).to(optimizer.dtype))
    directions = share_directions(team, wanted, kernels)
    for i, names in enumerate(optimizer.stacks):
        state[f"momentum.{i}"].copy_(momenta[i])
        step_along([params[name] for name in names], directions[i], config, scale, params[names[0]].shape, kernels)
    adam = [params[name] for name in optimizer.adam]
    adam_update(adam, state["mean"], state["square"], config, config.adam_lr * scale, step + 1, kernels)


def step_along(
    params: Sequence[Tensor],
    directions: Tensor,
    config: OptimConfig,
    scale: float,
    whole: Size,
    kernels: Kernels | None = None,
) -> None:
    """Move matrices of a shape, or some of their rows, against their directions as Muon does: decayed first, tall ones further."""
    lr = config.muon_lr * scale
    rows, cols = whole
    for p, d in zip(params, directions, strict=True):
        if kernels is not None:
            kernels.move(p, d.contiguous(), 1 - lr * config.weight_decay, lr * math.sqrt(max(1.0, rows / cols)))
            continue
        if config.weight_decay:
            p.mul_(1 - lr * config.weight_decay)
        p.sub_(d.to(p.dtype), alpha=lr * math.sqrt(max(1.0, rows / cols)))


def gradients_of(params: Sequence[Tensor]) -> list[Tensor]:
    """Return the gradients, which must be there."""
    grads = [p.grad for p in params]
    assert all(g is not None for g in grads), "update before backward"
    return [g for g in grads if g is not None]


def share_directions(team: Team, stacks: Sequence[Tensor], kernels: Kernels | None = None) -> list[Tensor]:
    """Return the orthogonalised matrices of some stacks (N rows cols), of each of which every process computes its part.

    All are told at once, since with each telling every process waits for the slowest.
    """
    parts = []
    for g in stacks:
        each = math.ceil(len(g) / team.size)
        own = g[team.rank * each : (team.rank + 1) * each]
        part = g.new_zeros(each, *g.shape[1:])
        if len(own):
            part[: len(own)] = orthogonalize(own, kernels)
        parts.append(part)
    if not parts:
        return []
    mine = torch.cat([part.flatten() for part in parts])
    if team.board is not None:
        all_parts = team.board.gather(mine)
    else:
        all_parts = mine.new_empty(team.size, len(mine))
        dist.all_gather(list(all_parts.unbind(0)), mine)
    each_stack = all_parts.split([part.numel() for part in parts], dim=1)
    return [told.reshape(-1, *g.shape[1:])[: len(g)] for told, g in zip(each_stack, stacks, strict=True)]
