"""A sample of a stream: whole documents from all over it, for what would take too long on all of them."""

from __future__ import annotations

import numpy as np

from dozero.dataset.batch import take_ids
from dozero.dataset.stream import Collection, TokenStream
from dozero.tokenizer.tokenizer import END_ID


def thin_stream(stream: TokenStream, share: float) -> TokenStream:
    """Return about this share of the documents, evenly spaced over the stream and at least one, held in memory.

    Bytes and characters are not counted anew: they are the share of the stream's that its tokens are.
    """
    count = max(1, round(stream.documents * min(1.0, share)))
    chosen = np.arange(count) * stream.documents // count
    bounds = np.append(stream.starts, stream.tokens)
    lengths = bounds[chosen + 1] - bounds[chosen]
    starts = np.cumsum(lengths) - lengths
    source = np.repeat(bounds[chosen] - starts, lengths) + np.arange(lengths.sum())
    ids = take_ids(stream.shards, source)
    part = len(ids) / stream.tokens
    whole = Collection("", count, len(ids), round(stream.characters * part), round(stream.bytes * part))
    return TokenStream((np.append(ids, np.array([END_ID], dtype=ids.dtype)),), starts, (whole,))
