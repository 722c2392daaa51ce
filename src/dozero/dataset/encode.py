"""Parts of a corpus to token ids on disk: each part on its own, in this process or in several."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dozero.artifact import Manifest, is_current, read_manifest, write_artifact
from dozero.corpus.document import Document
from dozero.corpus.store import read_part
from dozero.dataset.split import heldout_test
from dozero.dataset.stream import lay_out
from dozero.tokenizer.tokenizer import Tokenizer

SPLITS = ("train", "heldout")
CHARACTERS_AT_ONCE = 2**20  # bounds memory, but for a single longer document


@dataclass(frozen=True)
class PartJob:
    """What a process needs to know to encode one part of a corpus."""

    part: Path
    about: dict[str, Any]
    """What the manifest of the corpus says about all its documents."""
    inputs: dict[str, str]
    heldout_percent: float
    out: Path


def encode_parts(jobs: Sequence[PartJob], tokenizer: Tokenizer, processes: int) -> Iterator[Manifest]:
    """Encode each part, in several processes if there are several parts, and yield their manifests in order."""
    processes = min(processes, len(jobs))
    if processes <= 1:
        for job in jobs:
            yield encode_part(job, tokenizer)
        return
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    # Spawned, not forked: a fork of a process with threads (torch, tokenizers) may hang.
    pool = ProcessPoolExecutor(processes, get_context("spawn"), _begin_work, (tokenizer,))
    try:
        yield from pool.map(_encode_in_worker, jobs)
    finally:
        pool.shutdown(cancel_futures=True)


_TOKENIZER_OF_WORKER: list[Tokenizer] = []  # sent once to each process, not with every part


def _begin_work(tokenizer: Tokenizer) -> None:
    """Prepare a worker: it leaves Ctrl-C to its parent, and ends when that is killed."""
    from multiprocessing import parent_process

    parent = parent_process()
    assert parent is not None
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # the processes are what runs in parallel
    _TOKENIZER_OF_WORKER.append(tokenizer)
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


def _encode_in_worker(job: PartJob) -> Manifest:
    return encode_part(job, _TOKENIZER_OF_WORKER[0])


def encode_part(job: PartJob, tokenizer: Tokenizer) -> Manifest:
    """Write a folder with ids and lengths of the part's documents by split, unless a former call did.

    Its manifest, which is returned, tells the collection, and how many documents, tokens, characters and bytes each split has.
    """
    config = {"heldout_percent": job.heldout_percent}
    if is_current(job.out, "part", job.inputs, config):
        return read_manifest(job.out)
    counts = {split: dict.fromkeys(("documents", "tokens", "characters", "bytes"), 0) for split in SPLITS}
    manifest = Manifest(kind="part", inputs=job.inputs, config=config, counts=counts)
    with write_artifact(job.out, manifest) as folder, ExitStack() as stack:
        files = {
            (split, kind): stack.enter_context((folder / f"{split}.{kind}.bin").open("wb"))
            for split in SPLITS
            for kind in ("ids", "lengths")
        }
        documents = read_part(job.part, Manifest("corpus", about=job.about))
        for collection, by_split in _batches(documents, job.heldout_percent):
            manifest.about["collection"] = collection
            for split, texts in by_split.items():
                ids, lengths = lay_out(texts, tokenizer)
                files[split, "ids"].write(ids.tobytes())
                files[split, "lengths"].write(lengths.tobytes())
                joined = "".join(texts)
                here = (len(texts), len(ids), len(joined) + len(texts), len(joined.encode()))
                counts[split] = {name: n + more for (name, n), more in zip(counts[split].items(), here, strict=True)}
    return manifest


def _batches(documents: Iterable[Document], heldout_percent: float) -> Iterator[tuple[str, dict[str, list[str]]]]:
    """Yield the texts of so many characters by split, and the collection they belong to."""
    is_heldout, collection, characters = heldout_test(heldout_percent), None, 0
    by_split: dict[str, list[str]] = {split: [] for split in SPLITS}
    for text, _, _, _, name in documents:
        assert name == collection or collection is None, "a part of a corpus holds one collection"
        collection = name
        by_split["heldout" if is_heldout(text) else "train"].append(text)
        characters += len(text)
        if characters >= CHARACTERS_AT_ONCE:
            yield collection, by_split
            by_split, characters = {split: [] for split in SPLITS}, 0
    if collection is not None:
        yield collection, by_split
