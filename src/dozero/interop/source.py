"""A model of others as it was found, before any of it is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dozero.settings import ModelConfig
from dozero.tokenizer.tokenizer import Tokenizer


@dataclass(frozen=True)
class Source:
    """Shape, weights under Hugging Face's names, and tokenizer; `tensors` have not yet been held against `config`."""

    path: Path
    files: tuple[Path, ...]
    """What was read."""
    config: ModelConfig
    tensors: Mapping[str, Tensor]
    tokenizer: Tokenizer
    dtype: torch.dtype
    """Number format in which the weights came."""
    about: dict[str, Any]
    """Name, licence and number format, for the manifest and the card."""
