"""Choosing the next token: pure functions on logits.

First what was said before counts against saying it again (`penalize`); then each rule returns new logits in which what
it cuts is -inf, in the order of `RULES`; then the draw (`choose`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from dozero.settings import GenerateConfig


def with_bias(logits: Float[Tensor, "B V"], biases: dict[int, float]) -> Float[Tensor, "B V"]:
    """Return the logits with something added to those of some tokens, by id; ids past the last are passed over."""
    return logits + _bias_row(tuple(biases.items()), logits.shape[-1])


@lru_cache(maxsize=64)
def _bias_row(biases: tuple[tuple[int, float], ...], size: int) -> Float[Tensor, "V"]:
    added = torch.zeros(size)
    for token, bias in biases:
        if token < size:
            added[token] = bias
    return added


def with_repetition_penalty(
    logits: Float[Tensor, "B V"], seen: Bool[Tensor, "B V"], penalty: float
) -> Float[Tensor, "B V"]:
    """Return logits in which tokens seen before are less likely: divided, or multiplied below 0 (Keskar et al. 2019)."""
    return torch.where(seen, torch.where(logits > 0, logits / penalty, logits * penalty), logits)


def with_count_penalties(
    logits: Float[Tensor, "B V"], counts: Int[Tensor, "B V"], presence: float, frequency: float
) -> Float[Tensor, "B V"]:
    """Return logits less `presence` for tokens that came, and less `frequency` for each time they came (as OpenAI's)."""
    return logits - (counts > 0) * presence - counts * frequency


def remembers(config: GenerateConfig) -> bool:
    """Return whether what was said before changes what comes next by these settings."""
    return config.repetition_penalty != 1 or config.presence_penalty != 0 or config.frequency_penalty != 0


def penalize(
    logits: Float[Tensor, "B V"],
    config: GenerateConfig,
    prompts: Bool[Tensor, "B V"] | None = None,
    counts: Int[Tensor, "B V"] | None = None,
) -> Float[Tensor, "B V"]:
    """Return the logits after bias and penalties: `prompts` tells the tokens of the prompt, `counts` those written since."""
    if config.logit_bias:
        logits = with_bias(logits, config.biases)
    if counts is not None and config.repetition_penalty != 1:
        seen = counts > 0 if prompts is None else (counts > 0) | prompts
        logits = with_repetition_penalty(logits, seen, config.repetition_penalty)
    if counts is not None and (config.presence_penalty or config.frequency_penalty):
        logits = with_count_penalties(logits, counts, config.presence_penalty, config.frequency_penalty)
    return logits


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


Rule = Callable[[Tensor, GenerateConfig], Tensor]
RULES: dict[str, Rule] = {
    "temperature": lambda logits, c: with_temperature(logits, c.temperature) if c.temperature > 0 else logits,
    "top_k": lambda logits, c: with_top_k(logits, c.top_k) if c.top_k else logits,
    "top_p": lambda logits, c: with_top_p(logits, c.top_p) if c.top_p < 1 else logits,
    "min_p": lambda logits, c: with_min_p(logits, c.min_p) if c.min_p > 0 else logits,
}
"""What each setting of sampling does to the logits, in the order in which they are applied; nothing at its neutral value."""


def restrict(logits: Float[Tensor, "B V"], config: GenerateConfig) -> Float[Tensor, "B V"]:
    """Return the logits after temperature, top-k, top-p and min-p; rules at their neutral value do nothing."""
    for rule in RULES.values():
        logits = rule(logits, config)
    return logits


def cut_by(logits: Float[Tensor, "V"], config: GenerateConfig) -> dict[int, str]:
    """Return the tokens that the rules cut, each with the name of the first that did.

    >>> cut_by(torch.tensor([2.0, 1.0, 0.0, -9.0]), GenerateConfig(top_k=3, min_p=0.3))
    {3: 'top_k', 2: 'min_p'}
    """
    found: dict[int, str] = {}
    row = logits[None]
    for name, rule in RULES.items():
        after = rule(row, config)
        for i in ((after[0] == -math.inf) & (row[0] > -math.inf)).nonzero()[:, 0].tolist():
            found[i] = name
        row = after
    return found


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
