"""What a batch costs the model."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from dozero.dataset.batch import IGNORE


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
