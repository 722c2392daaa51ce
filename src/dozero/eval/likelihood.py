"""The surprise of a model at held-out text, in units that compare across tokenizers."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from dozero.dataset.batch import IGNORE, gather_batch
from dozero.dataset.rows import Rows, pack_rows
from dozero.dataset.stream import TokenStream
from dozero.eval.surprise import Surprise
from dozero.model.transformer import Transformer

TOKENS_AT_ONCE = 2048
"""No more than most training steps take: an evaluation then needs no memory that training did not."""


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
