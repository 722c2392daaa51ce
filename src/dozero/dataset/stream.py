"""Documents as one stream of token ids, held in one or several arrays.

Each document is END then its tokens; one END closes the stream. So the target of any position is the token after
it, and the last target of a document is END. Where one array ends and the next begins means nothing.
"""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dozero.tokenizer.tokenizer import Tokenizer

Ids = NDArray[np.unsignedinteger[Any]]


@dataclass(frozen=True)
class Collection:
    """The documents of one source that stand together in a stream, and how much they are."""

    name: str
    documents: int
    tokens: int
    """Targets: the tokens of each document and its end."""
    characters: int
    """Characters of text, the end of each document counted as one."""
    bytes: int
    """Bytes of text in UTF-8, without the ends."""
    weight: float = 1.0
    """Share of the training rows, relative to the other collections; 1 everywhere mixes by size."""


@dataclass(frozen=True)
class TokenStream:
    """The documents of one split: their ids, where each starts, and the collections they come from, in order."""

    shards: tuple[Ids, ...]
    """The ids, cut into arrays that are all as long as the first, but for the last."""
    starts: NDArray[np.int64]
    """Position of each document's END, counted through all shards."""
    collections: tuple[Collection, ...]

    @property
    def ids(self) -> Ids:
        """All ids as one array; more than one shard is read into memory for it."""
        return self.shards[0] if len(self.shards) == 1 else np.concatenate(self.shards)

    @property
    def documents(self) -> int:
        """Number of documents."""
        return len(self.starts)

    @property
    def tokens(self) -> int:
        """Number of targets: the tokens of each document and its end."""
        return sum(c.tokens for c in self.collections)

    @property
    def characters(self) -> int:
        """Characters of text, the end of each document counted as one."""
        return sum(c.characters for c in self.collections)

    @property
    def bytes(self) -> int:
        """Bytes of text in UTF-8, without the ends."""
        return sum(c.bytes for c in self.collections)


def id_type(vocab_size: int) -> type[np.uint16] | type[np.uint32]:
    """Return what an id is stored in: two bytes where the vocabulary fits.

    >>> id_type(65_536).__name__, id_type(65_537).__name__
    ('uint16', 'uint32')
    """
    return np.uint16 if vocab_size <= 2**16 else np.uint32


def encode_documents(texts: Sequence[str], tokenizer: Tokenizer) -> TokenStream:
    """Return the stream of these texts, held in memory."""
    ids, lengths = lay_out(texts, tokenizer)
    characters = sum(map(len, texts)) + len(texts)
    whole = Collection("", len(texts), len(ids), characters, sum(len(text.encode()) for text in texts))
    closed = np.append(ids, np.array([tokenizer.end_id], dtype=ids.dtype))
    return TokenStream((closed,), np.cumsum(lengths) - lengths, (whole,))


def lay_out(texts: Sequence[str], tokenizer: Tokenizer) -> tuple[Ids, NDArray[np.int64]]:
    """Return END and the tokens of each text, one after another, and the length of each, its END included."""
    encoded = tokenizer.encode_many(texts)
    lengths = np.fromiter(map(len, encoded), dtype=np.int64, count=len(texts)) + 1
    ids = np.full(int(lengths.sum()), tokenizer.end_id, dtype=id_type(tokenizer.vocab_size))
    is_text = np.ones(len(ids), dtype=bool)
    is_text[np.cumsum(lengths) - lengths] = False
    if encoded:
        ids[is_text] = np.concatenate(encoded)
    return ids, lengths


def let_go(array: NDArray[Any]) -> None:
    """Let the pages of a mapped file go that were read; the system keeps them where it has room, and gives them again.

    Otherwise a process grows with the text that it has seen. An array in memory stays as it is.
    """
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)
