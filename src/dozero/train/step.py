"""One training step: guess, measure, find out who is to blame, correct a little."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dozero.dataset.batch import Batch
from dozero.errors import DivergedError
from dozero.model.transformer import Transformer
from dozero.train.kernels import Kernels
from dozero.train.loss import next_token_loss
from dozero.train.optim import Optimizer, lr_scale, update


@dataclass(frozen=True)
class Schedule:
    """How far along a run each step is. `replan` moves the end of a run without a jump in the learning rate.

    >>> s = Schedule(total_steps=100); s.progress(50), s.replan(50, 200).progress(125)
    (0.5, 0.75)
    """

    total_steps: int
    from_step: int = 0
    from_progress: float = 0.0

    def progress(self, step: float) -> float:
        """Return the share of the run that is done after `step` updates: 0 at the start, 1 at the end."""
        share = (step - self.from_step) / (self.total_steps - self.from_step)
        return self.from_progress + (1.0 - self.from_progress) * share

    def replan(self, step: int, total_steps: int) -> Schedule:
        """Return the schedule that continues from `step` to another end."""
        return Schedule(total_steps, step, self.progress(step))


@dataclass(frozen=True)
class StepResult:
    """What one step measured, before its update."""

    loss: float
    grad_norm: float
    lr_scale: float


def train_step(
    model: Transformer,
    optimizer: Optimizer,
    batch: Batch,
    step: int,
    schedule: Schedule,
    loss_limit: float = math.inf,
    *,
    rows_at_once: int = 0,
    keep_gradients: bool = False,
) -> StepResult:
    """Update the weights once, in place. Kept gradients are those the update used, clipped.

    Raises DivergedError before the update when loss or gradient is not finite, or the loss above the limit: weights
    and state are then intact.
    """
    loss = add_gradients(model, batch, rows_at_once)
    grad_norm = clip_gradients(list(optimizer.params.values()), optimizer.config.clip).item()
    refuse_bad_step(optimizer, step, loss.item(), grad_norm, loss_limit)
    scale = rate_of_step(optimizer, step, schedule)
    update(optimizer, step, scale, kernels_of(model))  # correct a little
    if not keep_gradients:
        forget_gradients(optimizer)
    return StepResult(loss.item(), grad_norm, scale)


def add_gradients(model: Transformer, batch: Batch, rows_at_once: int = 0) -> Float[Tensor, ""]:
    """Add the gradients of a batch to those of the weights, so many rows at once (0: all), and return its loss.

    Each portion is divided by the targets of the whole step, so that portions of any size add up to the same.
    """
    losses: list[Tensor] = []
    for part in batch.portions(rows_at_once):
        logits = model(part.ids, part.segments)  # guess
        loss = next_token_loss(logits, part.targets, batch.target_tokens, kernels_of(model))  # measure
        loss.backward()  # who is to blame
        losses.append(loss.detach())
    return torch.stack(losses).sum()


def kernels_of(model: nn.Module) -> Kernels | None:
    """Return the functions of kernels.py that a model computes with; None if it goes the plain way."""
    return getattr(model.forward, "kernels", None)


def clip_gradients(params: list[nn.Parameter], limit: float) -> Float[Tensor, ""]:
    """Scale gradients down to a norm of `limit` if theirs is larger, as torch's clip_grad_norm_; return theirs."""
    norm = nn.utils.get_total_norm([p.grad for p in params if p.grad is not None], foreach=True)
    if not norm < limit:  # one that is no number goes the same way
        nn.utils.clip_grads_with_norm_(params, limit, norm, foreach=True)
    return norm


def refuse_bad_step(optimizer: Optimizer, step: int, loss: float, grad_norm: float, loss_limit: float) -> None:
    """Raise DivergedError, the gradients dropped, unless loss and gradient norm are finite and the loss within its limit."""
    is_finite = math.isfinite(loss) and math.isfinite(grad_norm)
    if is_finite and loss <= loss_limit:
        return
    config = optimizer.config
    forget_gradients(optimizer)
    what = "the loss jumped" if is_finite else "loss or gradient is not finite"
    raise DivergedError(
        f"{what}; the weights were left as they were",
        where=f"step {step}",
        expected=f"a loss up to {loss_limit:.4g}" if is_finite else "finite numbers",
        got=f"loss {loss}, gradient norm {grad_norm}",
        next=f"a lower rate: optim.muon_lr={config.muon_lr / 2:g} optim.adam_lr={config.adam_lr / 2:g}",
    )


def rate_of_step(optimizer: Optimizer, step: int, schedule: Schedule) -> float:
    """Return the factor on the learning rates of a step."""
    middle = schedule.progress(step + 0.5)  # at its edges the first or the last step would be wasted on rate 0
    return lr_scale(middle, optimizer.config.warmup, optimizer.config.decay)


def forget_gradients(optimizer: Optimizer) -> None:
    """Drop the gradients, so that the next step starts from none."""
    for p in optimizer.params.values():
        p.grad = None
