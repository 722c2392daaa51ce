"""The surprise of a model at held-out text, in units that compare across tokenizers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from dozero.dataset.batch import IGNORE, Rows, gather_batch, pack_rows
from dozero.dataset.stream import TokenStream
from dozero.model.transformer import Transformer

TOKENS_AT_ONCE = 8192


@dataclass(frozen=True)
class Surprise:
    """Total negative log-probability of some documents, and what they amount to."""

    nats: float
    tokens: int
    """Tokens of text, the end of each document counted as one."""
    documents: int
    characters: int
    """Characters of text, the end of each document counted as one."""
    bytes: int
    """Bytes of text in UTF-8, without the ends."""

    @property
    def nats_per_token(self) -> float:
        """Mean surprise at a token, ends included: the loss of training. Compares models of one tokenizer only."""
        return self.nats / self.tokens

    @property
    def bits_per_character(self) -> float:
        """Bits to predict one character, ends included: log2 of how many it hesitates between."""
        return self.nats / math.log(2) / self.characters

    @property
    def bits_per_byte(self) -> float:
        """Bits per byte of text: the figure that compares any two models on the same text."""
        return self.nats / math.log(2) / self.bytes

    @property
    def nats_per_document(self) -> float:
        """Mean surprise of a whole document; for a list of words, nats per word."""
        return self.nats / self.documents


def measure_surprise(model: Transformer, stream: TokenStream) -> Surprise:
    """Return the model's surprise at all documents of a stream; each is read from a fresh start."""
    nats, tokens = total_nats(model, pack_rows(stream, model.config.max_seq_len))
    return Surprise(nats, tokens, stream.documents, stream.characters, stream.bytes)


def total_nats(model: Transformer, rows: Rows) -> tuple[float, int]:
    """Return the summed negative log-probability of all targets of the rows, and their number."""
    per_batch = max(1, TOKENS_AT_ONCE // rows.T)
    nats, tokens = 0.0, 0
    with torch.no_grad():
        for start in range(0, len(rows), per_batch):
            batch = gather_batch(rows, np.arange(start, min(start + per_batch, len(rows))))
            batch = batch.to(model.lm_head.weight.device)
            logits = model(batch.ids, batch.segments).float()
            loss = F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), ignore_index=IGNORE, reduction="sum")
            nats += loss.item()
            tokens += batch.target_tokens
    return nats, tokens
