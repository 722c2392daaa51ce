"""Running the model over rows of tokens with a cache: prompt in, token after token out."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from dozero.generate.sample import choose
from dozero.model.transformer import Transformer
from dozero.settings import GenerateConfig


@dataclass(frozen=True)
class Step:
    """One decoding step: the token each row got, and the logits it was chosen from."""

    ids: list[int]
    logits: Float[Tensor, "B V"]


def decode(
    model: Transformer, prompt: Sequence[int], config: GenerateConfig, seeds: Sequence[int], end_id: int
) -> Iterator[Step]:
    """Yield steps until every row has ended, max_tokens is reached or the context is full.

    All rows start from one prompt, which is run once; each draws from its own seed, so that a row's text is the
    same alone or beside others. A row that has ended goes on yielding `end_id`.
    """
    rows = len(seeds)
    room = min(config.max_tokens, model.config.max_seq_len - len(prompt))
    streams = [random.Random(_seed_of(seed)) for seed in seeds]
    cache = model.new_cache(rows, len(prompt) + room)
    device = model.lm_head.weight.device
    ids = torch.tensor([list(prompt)], device=device).expand(rows, -1)
    done = [False] * rows
    for _ in range(room):
        with torch.no_grad():
            logits = model(ids, cache=cache)[:, -1].float().cpu()  # chosen there: not every device has float64
        noise = torch.tensor([[stream.random()] for stream in streams], dtype=torch.float64)  # fp32 would round up to 1
        chosen = [end_id if d else t for d, t in zip(done, choose(logits, config, noise).tolist(), strict=True)]
        yield Step(chosen, logits)
        done = [d or t == end_id for d, t in zip(done, chosen, strict=True)]
        if all(done):
            return
        ids = torch.tensor(chosen, device=device)[:, None]


def _seed_of(seed: int) -> int:
    """Return a well-mixed seed, so that neighbouring seeds give unrelated texts."""
    return int.from_bytes(hashlib.blake2b(str(seed).encode(), digest_size=8).digest())
