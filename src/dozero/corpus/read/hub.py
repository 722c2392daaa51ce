"""Datasets of the Hugging Face hub, streamed by `datasets`: `hf://owner/name`, with `@config` and `:split` behind it.

A folder on disk in the hub's layout is named alike: `hf:///data/owner/name`. Nothing of a dataset is executed:
`datasets` reads data files only, since its version 4.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dozero.corpus.document import Document
from dozero.corpus.read.limits import Unreadable
from dozero.corpus.read.origin import Origin, read_record
from dozero.durable import sha256_of
from dozero.errors import DataError, MissingExtra

HUB = "hf://"
ADDRESS = re.compile(r"hf://(?P<name>[^@:]+)(?:@(?P<config>[^:]+))?(?::(?P<split>.+))?")
DEFAULT_SPLIT = "train"


def count_shards(address: str) -> int:
    """Return the number of shards of a dataset: its data files, as a rule, each of which can be read alone."""
    return open_dataset(address).num_shards


def open_dataset(address: str) -> Any:
    """Return the dataset at an hf:// address as a stream; DataError says what is wrong with the address."""
    datasets, name, config, split = _resolve(address)
    with _explained(address):
        return datasets.load_dataset(name, name=config, split=split, streaming=True)


def read_shard(address: str, shard: int, shards: int, origin: Origin) -> Iterator[Document | Unreadable]:
    """Yield the documents of one shard; records are numbered within it, as in hf://owner/name!2#17."""
    data = open_dataset(address)
    inside = origin.inside(str(shard + 1)) if shards > 1 else origin
    part = data.shard(num_shards=shards, index=shard) if shards > 1 else data
    with _explained(address):
        for number, record in enumerate(part, 1):
            yield read_record(record, number, f"{inside.name}#{number}", inside)


def dataset_files(address: str) -> dict[str, str]:
    """Return a SHA-256 for each data file: of its content on disk, of the revision that the hub tells elsewhere."""
    datasets, name, config, split = _resolve(address)
    with _explained(address):
        found = datasets.load_dataset_builder(name, name=config).config.data_files or {}
    files = found.get(split, [])
    told = getattr(files, "origin_metadata", [()] * len(files))
    return {
        str(file): sha256_of(Path(file))
        if Path(file).is_file()
        else hashlib.sha256(repr((str(file), version)).encode()).hexdigest()
        for file, version in zip(files, told, strict=True)
    }


def _resolve(address: str) -> tuple[Any, str, str | None, str]:
    """Return the library and what the address names: dataset, configuration, split."""
    found = ADDRESS.fullmatch(address)
    if not found:
        raise DataError("no address of a dataset", where=address, expected="hf://owner/name@config:split")
    try:
        import datasets
    except ImportError:
        raise MissingExtra("datasets", extra="files") from None
    return datasets, found["name"], found["config"], found["split"] or DEFAULT_SPLIT


@contextmanager
def _explained(address: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:
        cause = " ".join(str(error).split())[:300]
        raise DataError(f"dataset cannot be read ({cause})", where=address) from None
