"""What a batch costs the model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dozero.dataset.batch import IGNORE
from dozero.model.memory import LOSS_AT_ONCE
from dozero.train.kernels import Kernels

SPIKE_WINDOW = 128  # losses a new one is held against, as OLMo's skip-step optimizer has it; half of them must be there


class Surprise(torch.autograd.Function):
    """Sum of -log softmax(logits)[target], and its gradient, softmax(logits) minus 1 at the target, in the same pass.

    Composed of torch's own functions it would go through the largest tensors of a step eight times, most in fp32.
    """

    @staticmethod
    def forward(
        ctx: Any, logits: Float[Tensor, "N V"], targets: Int[Tensor, "N"], scale: float, kernels: Kernels | None
    ) -> Tensor:
        """Return the sum times `scale`, in fp32; positions whose target is IGNORE count for nothing."""
        if kernels is not None:
            loss = kernels.surprise(logits, targets, scale, IGNORE)
            ctx.save_for_backward(logits)
            return loss
        N, V = logits.shape
        at_once = max(1, LOSS_AT_ONCE // V) if logits.device.type == "cpu" else N
        gradient = torch.empty_like(logits)
        nats: list[Tensor] = []
        for begin in range(0, N, at_once):
            here = slice(begin, begin + at_once)
            logs = logits[here].float().log_softmax(dim=-1)
            counts = (targets[here] != IGNORE)[:, None]
            target = targets[here].clamp(min=0)[:, None]
            nats.append((logs.gather(1, target) * counts).sum())
            shares = logs.exp_().mul_(counts * scale)
            gradient[here] = shares.scatter_add_(1, target, counts * -scale)
        ctx.save_for_backward(gradient)
        return torch.stack(nats).sum() * -scale

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None, None]:
        """Return the gradient for the logits."""
        (gradient,), (factor,) = ctx.saved_tensors, grad_outputs
        return (gradient if factor == 1 else gradient * factor.to(gradient.dtype)), None, None, None


def next_token_loss(
    logits: Float[Tensor, "B T V"], targets: Int[Tensor, "B T"], target_tokens: int, kernels: Kernels | None = None
) -> Float[Tensor, ""]:
    """Return the mean surprise in nats: -log p(target), summed in fp32 and divided by the targets of the whole step.

    Dividing by the step's targets, rather than averaging averages, keeps the gradient the same however a step is
    cut into portions. With `kernels` (kernels.py) the gradient takes the place of the logits.
    """
    return Surprise.apply(logits.flatten(0, 1), targets.flatten(), 1 / target_tokens, kernels)


def spike_limit(losses: Sequence[float], sigma: float) -> float:
    """Return the highest loss that is no spike: `sigma` standard deviations above the mean of those before it.

    With sigma 0, or fewer losses than half a window, nothing is one. (OLMo 2, 2024: 6 sigma over 128 steps.)

    >>> spike_limit([1.0, 3.0] * 32, sigma=2.0), spike_limit([1.0, 3.0], sigma=2.0)
    (4.015810..., inf)
    """
    if not sigma or len(losses) < SPIKE_WINDOW // 2:
        return math.inf
    mean = math.fsum(losses) / len(losses)
    spread = math.sqrt(math.fsum((loss - mean) ** 2 for loss in losses) / (len(losses) - 1))
    return mean + sigma * spread
