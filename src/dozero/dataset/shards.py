"""A dataset folder: the documents of each split as token shards of a fixed size, with an index.

`train-00000.bin`, `train-00001.bin`, ... are one stream (dataset/stream.py says how it is laid out), cut without
regard to documents; `train.starts.bin` tells where each begins, as int64; `index.json` how much of what there is.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from dozero.artifact import Manifest, open_artifact, read_manifest, write_artifact
from dozero.corpus.store import Corpus
from dozero.dataset.encode import SPLITS, PartJob, encode_parts
from dozero.dataset.stream import Collection, Ids, TokenStream, id_type
from dozero.durable import lock, write_json
from dozero.errors import ArtifactError, DataError
from dozero.tokenizer.tokenizer import Tokenizer

TOKENS_PER_SHARD = 2**27
TOKENS_AT_ONCE = 2**22  # copied at a time


@dataclass(frozen=True)
class Dataset:
    """Both splits of a dataset folder, and its manifest."""

    train: TokenStream
    heldout: TokenStream
    vocab_size: int
    manifest: Manifest


@dataclass(frozen=True)
class Encoded:
    """One more part of the corpus is encoded: `done` of `total`, which hold so many tokens."""

    done: int
    total: int
    tokens: int


@dataclass(frozen=True)
class _Part:
    """An encoded part: its folder, and the collection its documents belong to; None if it has none."""

    folder: Path
    collection: str | None
    counts: dict[str, dict[str, int]]


def dataset_settings(heldout_percent: float, weights: Mapping[str, float] | None = None) -> dict[str, Any]:
    """Return the settings that decide what a dataset holds, as its manifest has them."""
    return {"heldout_percent": heldout_percent} | ({"weights": dict(weights)} if weights else {})


def build_dataset(
    corpus: Corpus,
    tokenizer: Tokenizer,
    heldout_percent: float,
    inputs: dict[str, str],
    out: Path,
    *,
    weights: Mapping[str, float] | None = None,
    processes: int = 1,
) -> Dataset:
    """Write the dataset of a corpus to `out`, as `pack_corpus` does, and return it."""
    for _ in pack_corpus(corpus, tokenizer, heldout_percent, inputs, out, weights=weights, processes=processes):
        pass
    return _read_dataset(out, read_manifest(out, "dataset"))


def pack_corpus(
    corpus: Corpus,
    tokenizer: Tokenizer,
    heldout_percent: float,
    inputs: dict[str, str],
    out: Path,
    *,
    weights: Mapping[str, float] | None = None,
    processes: int = 1,
    tokens_per_shard: int = TOKENS_PER_SHARD,
) -> Iterator[Encoded]:
    """Split the documents, encode them and write shards, starts and index to `out`, telling of each part encoded.

    `inputs` are the fingerprints of "corpus" and "tokenizer"; `weights` the shares of the training rows by name of
    collection, 1 where none is given. The parts of the corpus are encoded each on its own and kept beside `out`
    until all are, so that a killed call goes on where it was; any number of processes writes the same bytes.
    """
    manifest = Manifest(
        kind="dataset",
        inputs=inputs,
        config=dataset_settings(heldout_percent, weights),
        about={**corpus.manifest.about, "split": "by a hash of each document's text"},
    )
    work = out.with_name(f".packing-{out.name}")
    jobs = _list_jobs(corpus, heldout_percent, inputs, work)
    with lock(work):
        try:
            parts: list[_Part] = []
            tokens = 0
            for job, done in zip(jobs, encode_parts(jobs, tokenizer, processes), strict=True):
                parts.append(_Part(job.out, done.about.get("collection"), done.counts))
                tokens += sum(done.counts[split]["tokens"] for split in SPLITS)
                yield Encoded(len(parts), len(jobs), tokens)
            with write_artifact(out, manifest) as folder:
                index = _join_parts(parts, weights or {}, tokenizer.vocab_size, tokens_per_shard, folder)
                manifest.counts = {split: index[split]["counts"] for split in SPLITS}
        except DataError:  # which would come again
            shutil.rmtree(work, ignore_errors=True)
            raise
        shutil.rmtree(work, ignore_errors=True)


def _list_jobs(corpus: Corpus, heldout_percent: float, inputs: dict[str, str], work: Path) -> list[PartJob]:
    """Return a job for each part of the corpus."""
    about, files = corpus.manifest.about, corpus.manifest.files
    jobs = []
    for i, part in enumerate(corpus.parts):
        made_from = {"part": files[part.name]["sha256"]} | {k: v for k, v in inputs.items() if k == "tokenizer"}
        jobs.append(PartJob(part, about, made_from, heldout_percent, work / f"part-{i:05}"))
        if "tokenizer" not in inputs:  # then nobody says which one made what a killed call left
            shutil.rmtree(jobs[-1].out, ignore_errors=True)
    return jobs


def _join_parts(
    parts: Sequence[_Part], weights: Mapping[str, float], vocab_size: int, tokens_per_shard: int, folder: Path
) -> dict[str, Any]:
    """Write shards, starts and index of all parts, collection after collection, and return the index."""
    names = list(dict.fromkeys(part.collection for part in parts if part.collection is not None))
    ordered = [part for name in names for part in parts if part.collection == name]
    dtype = id_type(vocab_size)
    index: dict[str, Any] = {"vocab_size": vocab_size, "dtype": dtype.__name__, "tokens_per_shard": tokens_per_shard}
    for split in SPLITS:
        collections = [
            Collection(
                name, **_sum(p.counts[split] for p in ordered if p.collection == name), weight=weights.get(name, 1.0)
            )
            for name in names
        ]
        counts = _sum(part.counts[split] for part in parts)
        if not counts["documents"]:
            raise DataError(
                f"too few documents: none fell into the {split} split",
                expected="enough documents for both splits (a hundred or more)",
                next="more documents, or a larger data.heldout_percent",
                got=sum(part.counts[s]["documents"] for part in parts for s in SPLITS),
            )
        index[split] = {
            "counts": counts,
            "shards": _write_shards(folder, split, _ids_of(ordered, split, dtype), tokens_per_shard),
            "collections": [asdict(collection) for collection in collections],
        }
        _write_starts(folder, split, ordered)
    write_json(folder / "index.json", index)
    return index


def _sum(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    """Return the sums of the counts under each name."""
    total: dict[str, int] = dict.fromkeys(("documents", "tokens", "characters", "bytes"), 0)
    for more in counts:
        total = {name: n + more[name] for name, n in total.items()}
    return total


def _ids_of(parts: Iterable[_Part], split: str, dtype: type[np.unsignedinteger[Any]]) -> Iterator[Ids]:
    """Yield the ids of all parts, a portion at a time, and the END that closes the stream: the id that begins it."""
    end: Ids | None = None
    for part in parts:
        with (part.folder / f"{split}.ids.bin").open("rb") as file:
            while len(ids := np.fromfile(file, dtype, TOKENS_AT_ONCE)):
                end = ids[:1].copy() if end is None else end
                yield ids
    assert end is not None, "a split has documents"
    yield end


def _write_shards(folder: Path, split: str, portions: Iterable[Ids], tokens_per_shard: int) -> list[str]:
    """Write the ids to files of so many each, the last perhaps of fewer, and return their names."""
    names: list[str] = []
    room = 0
    for portion in portions:
        rest = portion
        while len(rest):
            if not room:
                names.append(f"{split}-{len(names):05}.bin")
                room = tokens_per_shard
            here, rest = rest[:room], rest[room:]
            room -= len(here)
            with (folder / names[-1]).open("ab") as file:
                file.write(here.tobytes())
    return names


def _write_starts(folder: Path, split: str, parts: Iterable[_Part]) -> None:
    """Write where each document begins in the stream."""
    position = 0
    with (folder / f"{split}.starts.bin").open("wb") as file:
        for part in parts:
            lengths = np.fromfile(part.folder / f"{split}.lengths.bin", np.int64)
            ends = position + np.cumsum(lengths)
            file.write((ends - lengths).tobytes())
            position += int(lengths.sum())


def open_dataset(path: Path) -> Dataset:
    """Return the dataset at `path`, verified; its ids stay on disk until they are used."""
    return _read_dataset(path, open_artifact(path, "dataset"))


def _read_dataset(path: Path, manifest: Manifest) -> Dataset:
    index = json.loads((path / "index.json").read_text(encoding="utf-8"))
    if "tokens_per_shard" not in index:
        raise ArtifactError("dataset of an older version", where=path, next="the same command after deleting it")
    train, heldout = (
        TokenStream(
            tuple(_mapped(path / name, index["dtype"]) for name in index[split]["shards"]),
            _mapped(path / f"{split}.starts.bin", np.int64),
            tuple(Collection(**collection) for collection in index[split]["collections"]),
        )
        for split in SPLITS
    )
    return Dataset(train, heldout, index["vocab_size"], manifest)


def _mapped(file: Path, dtype: DTypeLike) -> NDArray[Any]:
    """Return the numbers of a file, as a plain array: each look into a memmap itself takes as long as a small batch."""
    return np.asarray(np.memmap(file, dtype=dtype, mode="r"))
