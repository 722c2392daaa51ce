"""One training step: guess, measure, find out who is to blame, correct a little."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import nn

from dozero.dataset.batch import Batch
from dozero.errors import DivergedError
from dozero.model.transformer import Transformer
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
    keep_gradients: bool = False,
) -> StepResult:
    """Update the weights once, in place. Kept gradients are those the update used, clipped.

    Raises DivergedError before the update when loss or gradient is not finite, or the loss above the limit: weights
    and state are then intact.
    """
    config = optimizer.config
    logits = model(batch.ids, batch.segments)  # guess
    loss = next_token_loss(logits, batch.targets, batch.target_tokens)  # measure
    loss.backward()  # who is to blame
    params = list(optimizer.params.values())
    grad_norm = nn.utils.clip_grad_norm_(params, config.clip, foreach=True).item()
    loss_value = loss.item()
    is_finite = math.isfinite(loss_value) and math.isfinite(grad_norm)
    if not is_finite or loss_value > loss_limit:
        forget_gradients(optimizer)
        what = "the loss jumped" if is_finite else "loss or gradient is not finite"
        raise DivergedError(
            f"{what}; the weights were left as they were",
            where=f"step {step}",
            expected=f"a loss up to {loss_limit:.4g}" if is_finite else "finite numbers",
            got=f"loss {loss_value}, gradient norm {grad_norm}",
            next=f"a lower rate: optim.muon_lr={config.muon_lr / 2:g} optim.adam_lr={config.adam_lr / 2:g}",
        )
    middle = schedule.progress(step + 0.5)  # at its edges the first or the last step would be wasted on rate 0
    scale = lr_scale(middle, config.warmup, config.decay)
    update(optimizer, step, scale)  # correct a little
    if not keep_gradients:
        forget_gradients(optimizer)
    return StepResult(loss_value, grad_norm, scale)


def forget_gradients(optimizer: Optimizer) -> None:
    """Drop the gradients, so that the next step starts from none."""
    for p in optimizer.params.values():
        p.grad = None
