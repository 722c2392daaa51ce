"""What a batch costs the model."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from dozero.dataset.batch import IGNORE

SPIKE_WINDOW = 128  # losses a new one is held against, as OLMo's skip-step optimizer has it; half of them must be there


def next_token_loss(
    logits: Float[Tensor, "B T V"], targets: Int[Tensor, "B T"], target_tokens: int
) -> Float[Tensor, ""]:
    """Return the mean surprise in nats: -log p(target), summed in fp32 and divided by the targets of the whole step.

    Dividing by the step's targets, rather than averaging averages, keeps the gradient the same however a step is
    cut into portions.
    """
    nats = F.cross_entropy(
        logits.float().flatten(0, 1), targets.flatten(), ignore_index=IGNORE, reduction="sum"
    )  # () from (B*T, V) and (B*T,)
    return nats / target_tokens


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
