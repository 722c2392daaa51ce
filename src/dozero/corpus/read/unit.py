"""What one worker reads: plain data, equal for equal files, whatever the number of processes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """A file, or the part of one from `start` to `end`."""

    path: str
    """Where it lies on disk; for the hub its hf:// address."""
    name: str
    """What documents call it: the path as the user gave it, or the URL it was downloaded from."""
    start: int = 0
    """First byte of a plain text or jsonl, first row group of a Parquet file, or number of a shard of the hub."""
    end: int = 0
    """One past the last byte or row group, or the number of shards; 0 for all of the file."""
    first: int = 0
    """Number of the first document, line or row in it; 0 for all of the file."""
    fault: str = ""
    """Why it cannot be read, found when it was listed: a link, a pipe, no permission."""


@dataclass(frozen=True)
class Unit:
    """Some files of one source, or a part of a big one, with what the source declares of them."""

    spans: tuple[Span, ...]
    licence: str
    collection: str
    text_field: str
