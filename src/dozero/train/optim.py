"""How weights move: Muon on the matrices inside the blocks, AdamW on the rest, written out.

An optimizer here is plain data: lists of parameters, and a dict of named state tensors that goes to a checkpoint
as it is. `update` is the only function that changes weights.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dozero.model.cost import MUON_ROUNDS, ROWS_WORTH_HALVING
from dozero.settings import OptimConfig
from dozero.train.kernels import Kernels

# Quintic Newton-Schulz coefficients of Jordan et al. 2024 (https://kellerjordan.github.io/posts/muon/): they push singular
# values towards 1 fast rather than exactly, between about 0.7 and 1.2. Theirs are five rounds from matrices divided by their
# norm; from where `orthogonalize` begins, three train as well (JOURNAL.md).
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


@dataclass
class Optimizer:
    """Parameters by name in two families, with their state.

    `stacks` groups the Muon matrices by shape, so that each group is orthogonalised in one batched product.
    """

    config: OptimConfig
    stacks: list[list[str]]
    adam: list[str]
    params: dict[str, nn.Parameter]
    state: dict[str, Tensor] = field(default_factory=dict)
    dtype: torch.dtype = torch.float32
    """What Muon's products are computed in; weights and state are fp32 always."""


def build_optimizer(model: nn.Module, config: OptimConfig, dtype: torch.dtype = torch.float32) -> Optimizer:
    """Return an optimizer with zero state: matrices inside blocks go to Muon, everything else to AdamW."""
    params = dict(model.named_parameters())
    by_shape: dict[torch.Size, list[str]] = {}
    for name, p in params.items():
        if p.ndim == 2 and ".layers." in name:
            by_shape.setdefault(p.shape, []).append(name)
    stacks = list(by_shape.values())
    matrices = {name for stack in stacks for name in stack}
    adam = [name for name in params if name not in matrices]
    state = {f"momentum.{i}": torch.stack([torch.zeros_like(params[n]) for n in s]) for i, s in enumerate(stacks)}
    size = sum(params[name].numel() for name in adam)
    state |= {key: torch.zeros(size, device=params[adam[0]].device) for key in ("mean", "square")}
    return Optimizer(config, stacks, adam, params, state, dtype)


def lr_scale(progress: float, warmup: float, decay: float) -> float:
    """Return the factor on the learning rates at `progress` (0 to 1) of a run: up, level, down to zero.

    Warm-up, stable, decay (Hu et al. 2024): while it is level, the end of a run may still be moved.

    >>> [round(lr_scale(p, 0.1, 0.5), 2) for p in (0.05, 0.3, 0.75, 1.0)]
    [0.5, 1.0, 0.5, 0.0]
    """
    rising = progress / warmup if warmup else 1.0
    falling = (1.0 - progress) / decay if decay else 1.0
    return max(0.0, min(1.0, rising, falling))


def orthogonalize(g: Float[Tensor, "N rows cols"], kernels: Kernels | None = None) -> Float[Tensor, "N rows cols"]:
    """Return matrices with the singular vectors of `g` and all singular values near 1, by Newton-Schulz rounds.

    Rounds want singular values of at most 1, and the nearer to it the fewer. Divided by the root of the norm of x xᵀ, which
    the first round makes anyway, they are at most that, and several times larger than divided by the norm of x: of n equal
    ones 1/n^¼, not 1/n^½.

    Works on the smaller side: 3 rounds of 3 products cost about 9 * rows² * cols multiply-adds for rows <= cols. Two of
    the three are symmetric, of which half is computed where that is faster. And as a round makes p(x xᵀ) x of x, long rows
    may wait to the end for the product of all these polynomials, if there are the digits for it: small singular values are
    squared.
    """
    if kernels is not None and kernels.multiplies_pairs and g.dtype == torch.bfloat16:
        return kernels.orthogonalize(g.contiguous(), NEWTON_SCHULZ, MUON_ROUNDS)
    wide = g.shape[-2] <= g.shape[-1]
    x = g if wide else g.mT.contiguous()
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + 1e-7)  # what is squared twice would leave the range of floats
    rows, cols = x.shape[-2:]
    # What `rows_wait` of model/cost.py foretells.
    if cols >= 2 * rows and rows >= ROWS_WORTH_HALVING and x.element_size() > 2:
        x = _all_rounds(x)
    else:
        for i in range(MUON_ROUNDS):  # the sum inside the product
            gram = symmetric_product(x, x.mT) if i else _first_gram(x)
            x = torch.baddbmm(x, _polynomial(gram), x, beta=NEWTON_SCHULZ[0])
    return x if wide else x.mT


def _first_gram(x: Float[Tensor, "N rows cols"]) -> Float[Tensor, "N rows rows"]:
    """Return x xᵀ after `x`, in its place, was divided by the root of what was the norm of that."""
    gram = symmetric_product(x, x.mT)
    size = torch.linalg.matrix_norm(gram, keepdim=True) + 1e-7
    x.div_(size.sqrt())
    return gram.div_(size)


def _all_rounds(x: Float[Tensor, "N rows cols"]) -> Float[Tensor, "N rows cols"]:
    """Multiply by the polynomials of all rounds; all are of one matrix, so any product of them is symmetric."""
    gram, whole = _first_gram(x), None
    for i in range(MUON_ROUNDS):
        now = _polynomial(gram)
        now.diagonal(dim1=-2, dim2=-1).add_(NEWTON_SCHULZ[0])
        whole = now if whole is None else symmetric_product(now, whole)
        if i < MUON_ROUNDS - 1:
            gram = symmetric_product(now, gram)  # one after the other: the one before is let go
            gram = symmetric_product(now, gram)
    assert whole is not None
    return whole @ x


def _polynomial(gram: Float[Tensor, "N rows rows"]) -> Float[Tensor, "N rows rows"]:
    """Return b gram + c gram²: with a, the factor by which a round multiplies."""
    _, b, c = NEWTON_SCHULZ
    if gram.shape[-1] < ROWS_WORTH_HALVING:
        return torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
    return symmetric_product(gram, gram).mul_(c).add_(gram, alpha=b)


def symmetric_product(
    a: Float[Tensor, "N rows inner"], b: Float[Tensor, "N inner rows"]
) -> Float[Tensor, "N rows rows"]:
    """Return a @ b where that is known to be symmetric: of large ones in blocks, each with its mirror image.

    >>> a = torch.randn(1, 300, 40)
    >>> torch.allclose(symmetric_product(a, a.mT), a @ a.mT, atol=1e-4)
    True
    """
    rows = a.shape[-2]
    if rows < ROWS_WORTH_HALVING:
        return a @ b
    y, edge = a.new_empty(len(a), rows, rows), max(ROWS_WORTH_HALVING // 2, rows // 4)
    for start in range(0, rows, edge):
        end = min(start + edge, rows)
        y[:, start:end, start:] = a[:, start:end] @ b[:, :, start:]
        y[:, end:, start:end] = y[:, start:end, end:].mT
    return y


@torch.no_grad()
def update(optimizer: Optimizer, step: int, scale: float, kernels: Kernels | None = None) -> None:
    """Move the weights against their gradients; `step` counts from 0, `scale` multiplies the learning rates.

    With `kernels` (kernels.py) what is done number by number goes over memory once, and may round otherwise.
    """
    config = optimizer.config
    for i, names in enumerate(optimizer.stacks):
        params, momentum = [optimizer.params[name] for name in names], optimizer.state[f"momentum.{i}"]
        muon_update(params, momentum, config, config.muon_lr * scale, optimizer.dtype, kernels)
    params, state = [optimizer.params[name] for name in optimizer.adam], optimizer.state
    adam_update(params, state["mean"], state["square"], config, config.adam_lr * scale, step + 1, kernels)


def muon_update(
    params: list[nn.Parameter],
    momentum: Float[Tensor, "N rows cols"],
    config: OptimConfig,
    lr: float,
    dtype: torch.dtype = torch.float32,
    kernels: Kernels | None = None,
) -> None:
    """Step along the orthogonalised Nesterov momentum (Jordan et al. 2024), for matrices of one shape.

    Tall matrices take a step sqrt(rows/cols) larger, so that each output coordinate moves alike. The rounds run in
    `dtype`: they only need a direction, and bf16 is as good for that.
    """
    rows, cols = params[0].shape
    lr_adjusted = lr * math.sqrt(max(1.0, rows / cols))
    if kernels is not None:
        wanted = torch.empty_like(momentum, dtype=dtype)
        for p, m, w in zip(params, momentum, wanted, strict=True):
            kernels.blend(_gradient(p).contiguous(), m, w, config.momentum)
        for p, d in zip(params, orthogonalize(wanted, kernels), strict=True):
            kernels.move(p, d.contiguous(), 1 - lr * config.weight_decay, lr_adjusted)
        return
    grads = torch.stack([_gradient(p) for p in params])
    momentum.lerp_(grads, 1 - config.momentum)
    direction = orthogonalize(grads.lerp_(momentum, config.momentum).to(dtype))
    for p, d in zip(params, direction, strict=True):
        if config.weight_decay:
            p.mul_(1 - lr * config.weight_decay)
        p.sub_(d.to(p.dtype), alpha=lr_adjusted)


def adam_update(
    params: list[nn.Parameter],
    mean: Float[Tensor, "P"],
    square: Float[Tensor, "P"],
    config: OptimConfig,
    lr: float,
    t: int,
    kernels: Kernels | None = None,
) -> None:
    """Step along mean / sqrt(square), both corrected for their start at zero (Kingma & Ba 2015), decay apart (AdamW).

    It works coordinate by coordinate, so all P coordinates of the parameters are one long vector here. `t` counts
    from 1. Only matrices decay: norms and biases have no scale to lose.
    """
    if kernels is not None:
        sizes, rate, mend = [p.numel() for p in params], lr / (1 - config.beta1**t), 1 / (1 - config.beta2**t)
        for p, m, s in zip(params, mean.split(sizes), square.split(sizes), strict=True):
            keep = 1 - lr * config.weight_decay if p.ndim >= 2 else 1.0
            rates = (config.beta1, config.beta2, rate, mend, keep, config.eps)
            kernels.adam(p, _gradient(p).contiguous(), m, s, rates)
        return
    g = torch.cat([_gradient(p).flatten() for p in params])
    mean.lerp_(g, 1 - config.beta1)
    square.mul_(config.beta2).addcmul_(g, g, value=1 - config.beta2)
    spread = (square / (1 - config.beta2**t)).sqrt_().add_(config.eps)
    moves = (mean / spread).split([p.numel() for p in params])
    for p, move in zip(params, moves, strict=True):
        if p.ndim >= 2 and config.weight_decay:
            p.mul_(1 - lr * config.weight_decay)
        p.sub_(move.view_as(p), alpha=lr / (1 - config.beta1**t))


def _gradient(p: nn.Parameter) -> Tensor:
    assert p.grad is not None, "update before backward"
    return p.grad
