"""Choosing the next token: pure functions on logits.

Each rule returns new logits in which what it cuts is -inf. They are applied in the order of `restrict`.
"""

from __future__ import annotations

import math

from jaxtyping import Float, Int
from torch import Tensor

from dozero.settings import GenerateConfig


def with_temperature(logits: Float[Tensor, "B V"], temperature: float) -> Float[Tensor, "B V"]:
    """Return logits / temperature: below 1 the likely become likelier, above 1 all become more alike."""
    return logits / temperature


def with_top_k(logits: Float[Tensor, "B V"], k: int) -> Float[Tensor, "B V"]:
    """Keep the k likeliest tokens of each row (ties at the border stay)."""
    if k >= logits.shape[-1]:
        return logits
    weakest = logits.topk(k, dim=-1).values[:, -1:]
    return logits.masked_fill(logits < weakest, -math.inf)


def with_top_p(logits: Float[Tensor, "B V"], p: float) -> Float[Tensor, "B V"]:
    """Keep the smallest set of likeliest tokens whose probabilities reach p (nucleus, Holtzman et al. 2020)."""
    sorted_logits, order = logits.sort(dim=-1, descending=True)
    probs = sorted_logits.softmax(dim=-1)
    reached_before = probs.cumsum(dim=-1) - probs >= p
    reached_before[:, 0] = False  # the likeliest always stays, however p is rounded
    return logits.masked_fill(reached_before.scatter(-1, order, reached_before), -math.inf)


def with_min_p(logits: Float[Tensor, "B V"], p: float) -> Float[Tensor, "B V"]:
    """Keep tokens at least p times as likely as the likeliest (Nguyen et al. 2024)."""
    limit = logits.max(dim=-1, keepdim=True).values + math.log(p)
    return logits.masked_fill(logits < limit, -math.inf)


def restrict(logits: Float[Tensor, "B V"], config: GenerateConfig) -> Float[Tensor, "B V"]:
    """Return the logits after temperature, top-k, top-p and min-p; rules at their neutral value do nothing."""
    if config.temperature > 0:
        logits = with_temperature(logits, config.temperature)
    if config.top_k:
        logits = with_top_k(logits, config.top_k)
    if config.top_p < 1:
        logits = with_top_p(logits, config.top_p)
    if config.min_p > 0:
        logits = with_min_p(logits, config.min_p)
    return logits


def choose(
    logits: Float[Tensor, "B V"], config: GenerateConfig, noise: Float[Tensor, "B 1"] | None
) -> Int[Tensor, "B"]:
    """Return the next token of each row: the likeliest at temperature 0, else drawn with `noise`, uniform in [0, 1).

    A row takes the first token at which the cumulative probability passes its noise (inverse transform), so a
    row's choice depends on its own logits and noise alone, never on its neighbours.
    """
    if config.temperature == 0 or noise is None:
        return logits.argmax(dim=-1)
    cumulative = restrict(logits.double(), config).softmax(dim=-1).cumsum(dim=-1)
    return (cumulative <= noise.double() * cumulative[:, -1:]).sum(dim=-1)
