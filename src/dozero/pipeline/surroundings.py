"""What lies around a model: its run, and the dataset and corpus it learned from, where they are still there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from dozero.artifact import Manifest, read_manifest
from dozero.config import load_config
from dozero.corpus.document import Document
from dozero.corpus.store import Corpus, open_corpus
from dozero.dataset.shards import Dataset, open_dataset
from dozero.dataset.split import heldout_test
from dozero.errors import ArtifactError
from dozero.pipeline.stages import Workspace
from dozero.settings import RunConfig
from dozero.tokenizer.tokenizer import Tokenizer
from dozero.train.run_facts import find_run

LANGUAGE_CODE = re.compile(r"\b[a-z]{2}\b")


@dataclass(frozen=True)
class Surroundings:
    """The run of a model and its data; None for what is not there, or has been made anew since."""

    run: Path | None = None
    config: RunConfig | None = None
    manifest: Manifest | None = None
    """That of the model."""
    dataset: Path | None = None
    corpus: Path | None = None

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of the languages it learned, as far as that is known."""
        told = str(self.manifest.about.get("language", "")) if self.manifest else ""
        return tuple(dict.fromkeys(LANGUAGE_CODE.findall(told)))


def look_around(model_folder: Path) -> Surroundings:
    """Return what lies around a model folder."""
    try:
        manifest = read_manifest(model_folder)
    except ArtifactError:
        manifest = None
    try:
        run = find_run(model_folder)
    except ArtifactError:
        return Surroundings(manifest=manifest)
    workspace = Workspace(run.parent.parent, run.name)
    dataset = (
        workspace.dataset if _is_made(workspace.dataset, manifest.inputs.get("dataset") if manifest else None) else None
    )
    corpus = None
    if dataset is not None and _is_made(workspace.corpus, read_manifest(dataset).inputs.get("corpus")):
        corpus = workspace.corpus
    return Surroundings(run, load_config(run / "run.toml"), manifest, dataset, corpus)


def _is_made(path: Path, fingerprint: str | None) -> bool:
    """Return whether the artifact with this fingerprint is at `path`."""
    try:
        return fingerprint is not None and read_manifest(path).fingerprint == fingerprint
    except ArtifactError:
        return False


def training_documents(place: Path, tokenizer: Tokenizer, heldout_percent: float = 0.0) -> Iterator[Document]:
    """Yield the documents of a corpus that are not held out, or those to train on of a dataset, decoded.

    What a corpus knows of each document, its source and its licence, the shards of a dataset do not.
    """
    if read_manifest(place).kind == "corpus":
        return _of_corpus(open_corpus(place), heldout_percent)
    return _of_dataset(open_dataset(place), tokenizer)


def _of_corpus(corpus: Corpus, heldout_percent: float) -> Iterator[Document]:
    is_heldout = heldout_test(heldout_percent)
    return (document for document in corpus.documents() if not is_heldout(document.text))


def _of_dataset(dataset: Dataset, tokenizer: Tokenizer) -> Iterator[Document]:
    stream, about = dataset.train, dataset.manifest.about
    ids = stream.ids
    bounds = [*stream.starts.tolist(), stream.tokens]
    for n, (begin, end) in enumerate(pairwise(bounds)):
        text = tokenizer.decode(ids[begin + 1 : end].tolist())
        yield Document(text, f"document {n} of the dataset", str(about.get("licence", "")))
