"""Token shards: all documents of a split as one stream of ids on disk, mapped into memory when read.

Each document is END then its tokens; one END closes the stream. So the target of any position is the token after
it, and the last target of a document is END.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dozero.artifact import Manifest, open_artifact, write_artifact, write_json
from dozero.corpus.store import Corpus
from dozero.dataset.split import is_heldout
from dozero.errors import DataError
from dozero.tokenizer.tokenizer import END_ID, Tokenizer

SPLITS = ("train", "heldout")


@dataclass(frozen=True)
class TokenStream:
    """The documents of one split: ids, where each document starts, and how much text they stand for."""

    ids: NDArray[np.unsignedinteger[Any]]
    starts: NDArray[np.int64]
    characters: int
    """Characters of text, the end of each document counted as one."""
    bytes: int
    """Bytes of text in UTF-8, without the ends."""

    @property
    def documents(self) -> int:
        """Number of documents."""
        return len(self.starts)


@dataclass(frozen=True)
class Dataset:
    """Both splits of a dataset folder, and its manifest."""

    train: TokenStream
    heldout: TokenStream
    vocab_size: int
    manifest: Manifest


def build_dataset(
    corpus: Corpus, tokenizer: Tokenizer, heldout_percent: float, inputs: dict[str, str], out: Path
) -> Dataset:
    """Split the documents, encode them and write train.bin, heldout.bin and index.json to `out`."""
    parts: dict[str, list[str]] = {name: [] for name in SPLITS}
    for text in corpus.texts():
        parts["heldout" if is_heldout(text, heldout_percent) else "train"].append(text)
    for name, texts in parts.items():
        if not texts:
            raise DataError(
                f"too few documents: none fell into the {name} split",
                expected="enough documents for both splits (a hundred or more)",
                got=sum(map(len, parts.values())),
            )
    streams = {name: encode_documents(texts, tokenizer) for name, texts in parts.items()}
    manifest = Manifest(
        kind="dataset",
        inputs=inputs,
        config={"heldout_percent": heldout_percent},
        counts={name: {"documents": s.documents, "tokens": len(s.ids) - 1} for name, s in streams.items()},
        about={**corpus.manifest.about, "split": "by a hash of each document's text"},
    )
    with write_artifact(out, manifest) as folder:
        index: dict[str, Any] = {"vocab_size": tokenizer.vocab_size, "dtype": streams["train"].ids.dtype.name}
        for name, stream in streams.items():
            stream.ids.tofile(folder / f"{name}.bin")
            stream.starts.tofile(folder / f"{name}.starts.bin")
            index[name] = {"characters": stream.characters, "bytes": stream.bytes}
        write_json(folder / "index.json", index)
    return Dataset(streams["train"], streams["heldout"], tokenizer.vocab_size, manifest)


def open_dataset(path: Path) -> Dataset:
    """Return the dataset at `path`, verified; its ids stay on disk until they are used."""
    manifest = open_artifact(path, "dataset")
    index = json.loads((path / "index.json").read_text(encoding="utf-8"))
    streams = [
        TokenStream(
            np.memmap(path / f"{name}.bin", dtype=index["dtype"], mode="r"),
            np.fromfile(path / f"{name}.starts.bin", dtype=np.int64),
            index[name]["characters"],
            index[name]["bytes"],
        )
        for name in SPLITS
    ]
    return Dataset(streams[0], streams[1], index["vocab_size"], manifest)


def encode_documents(texts: Sequence[str], tokenizer: Tokenizer) -> TokenStream:
    """Return the stream of the documents, in uint16 where the vocabulary fits."""
    dtype = np.uint16 if tokenizer.vocab_size <= 2**16 else np.uint32
    ids = tokenizer.encode("".join(texts)).astype(dtype)
    lengths = np.fromiter((len(text) for text in texts), dtype=np.int64, count=len(texts))
    ends = np.cumsum(lengths)  # in characters, which are tokens here
    starts = ends - lengths + np.arange(len(texts))
    stream = np.full(len(ids) + len(texts) + 1, END_ID, dtype=dtype)
    is_text = np.ones(len(stream), dtype=bool)
    is_text[starts] = is_text[-1] = False
    stream[is_text] = ids
    text_bytes = sum(len(text.encode()) for text in texts)
    return TokenStream(stream, starts, int(lengths.sum()) + len(texts), text_bytes)
