"""What turns the figures of a step into figures that compare: bits per byte, and the share of this machine's peak."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from dozero.dataset.shards import Dataset
from dozero.dataset.stream import TokenStream
from dozero.device import Device
from dozero.model.cost import model_cost
from dozero.settings import RunConfig
from dozero.train.peak import known_peak


@dataclass(frozen=True)
class Scales:
    """Factors of one run on one machine."""

    train_bits: float
    """Bits per byte of the training text that a loss of one nat per token amounts to."""
    heldout_bits: float
    """The same of the held-out text."""
    peak_tokens_per_s: float | None
    """Tokens a second at which a step would take all this machine can give; None if its peak was never measured, and for
    several processes, whose peak together nobody measured."""


def scales_of(config: RunConfig, dataset: Dataset, device: Device, processes: int = 1) -> Scales:
    """Return the factors of a run."""
    peak_flops = known_peak(device) if processes == 1 else None
    flops = model_cost(config.model, dataset.vocab_size).training_flops_per_token
    return Scales(bits_per_nat(dataset.train), bits_per_nat(dataset.heldout), peak_flops and peak_flops / flops)


def bits_per_nat(stream: TokenStream) -> float:
    """Return the bits per byte of a text that one nat per token amounts to."""
    return stream.tokens / max(1, stream.bytes) / math.log(2)


def data_facts(config: RunConfig, dataset: Dataset) -> dict[str, Any]:
    """Return what a run learns from and how large its model is, as the first line of its metrics tells."""
    cost = model_cost(config.model, dataset.vocab_size)
    return {
        "params": cost.params,
        "vocab_size": dataset.vocab_size,
        "flops_per_token": cost.training_flops_per_token,
        **{
            split: {"documents": s.documents, "tokens": s.tokens, "bytes": s.bytes}
            for split, s in (("train", dataset.train), ("heldout", dataset.heldout))
        },
        "about": {k: v for k, v in dataset.manifest.about.items() if isinstance(v, str)},
    }
