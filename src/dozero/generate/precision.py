"""What a form of the model for writing loses in quality: bits per byte of held-out text, as it computes them."""

from __future__ import annotations

import math

import numpy as np
import torch

from dozero.dataset.stream import TokenStream
from dozero.generate.batch import Forward
from dozero.generate.engine import as_forward
from dozero.model.transformer import Transformer
from dozero.tokenizer.tokenizer import Tokenizer

MEASURED_TOKENS = 4000


def bits_per_byte(
    model: Transformer | Forward, tokenizer: Tokenizer, stream: TokenStream, most_tokens: int = MEASURED_TOKENS
) -> float:
    """Return the bits that the first documents of a stream take by this form of the model, over their bytes.

    A document longer than the context counts up to there. The end marks are predicted too, but are no bytes.
    """
    forward, ids = as_forward(model), stream.ids
    ends = [*stream.starts[1:].tolist(), len(ids) - 1]
    nats, size, tokens = 0.0, 0, 0
    for start, end in zip(stream.starts.tolist(), ends, strict=True):
        document = torch.from_numpy(ids[start : min(end, start + forward.positions) + 1].astype(np.int64))
        cache, first = forward.prefill(document[None, :1], forward.positions)
        rest = forward.advance(document[None, 1:-1], cache)[0] if len(document) > 2 else first[:0]
        logs = torch.cat((first, rest)).log_softmax(dim=-1)
        nats -= float(logs.gather(1, document[1:, None]).sum())
        size += sum(len(tokenizer.tokens[i]) for i in document[1:].tolist())
        tokens += len(document) - 1
        if tokens >= most_tokens:
            break
    return nats / math.log(2) / max(1, size)
