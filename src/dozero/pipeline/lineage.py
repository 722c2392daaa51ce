"""Which artifacts, runs and weights were made from an artifact, directly or through others.

Every manifest names its inputs by fingerprint, and a run's run.toml names its dataset: following these leads from a
corpus to the tokenizers, datasets, runs and models that saw it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from dozero.artifact import MANIFEST, Manifest, read_manifest
from dozero.errors import ArtifactError

DEPTH = 6
"""How deep folders are searched: a checkpoint lies five below the folder that holds the workspace."""
DATASET_LINE = "# dataset "


@dataclass(frozen=True)
class Found:
    """An artifact on disk."""

    path: Path
    kind: str
    fingerprint: str
    inputs: frozenset[str]


@dataclass(frozen=True)
class FoundRun:
    """A training run on disk, the fingerprint of its dataset, and the folders that hold its weights."""

    path: Path
    dataset: str
    weights: tuple[Path, ...]


@dataclass(frozen=True)
class Lineage:
    """What was made from some artifacts."""

    artifacts: tuple[Found, ...]
    runs: tuple[FoundRun, ...]
    uncertain: tuple[FoundRun, ...]
    """Runs whose dataset is no longer there, so that nobody can say what it was made from."""
    fingerprints: frozenset[str]
    """Those asked about and those of everything made from them."""


def trace_lineage(fingerprints: Iterable[str], places: Sequence[Path]) -> Lineage:
    """Return everything under the places that holds, or was made from, artifacts with these fingerprints."""
    artifacts, runs = _search(places)
    reached = set(fingerprints)
    before = -1
    while len(reached) != before:  # until nothing new is reached
        before = len(reached)
        reached |= {a.fingerprint for a in artifacts if a.inputs & reached}
    known = reached | {a.fingerprint for a in artifacts}
    weights = {folder for run in runs for folder in run.weights}
    return Lineage(
        tuple(a for a in artifacts if a.fingerprint in reached and a.path not in weights),
        tuple(run for run in runs if run.dataset in reached),
        tuple(run for run in runs if run.dataset not in known),
        frozenset(reached),
    )


def _search(places: Sequence[Path]) -> tuple[list[Found], list[FoundRun]]:
    folders = sorted({folder for place in places for folder in _folders(place)})
    artifacts, runs = [], []
    for folder in folders:
        with suppress(ArtifactError):  # no artifact, or one whose manifest tells nothing
            artifacts.append(_found(folder, read_manifest(folder)))
        datasets = _datasets_of(folder)
        weights = tuple(f for f in folders if _holds_weights(f) and folder in f.parents) if datasets else ()
        runs += [FoundRun(folder, dataset, weights) for dataset in datasets]
    return artifacts, runs


def _folders(place: Path) -> Iterator[Path]:
    """Yield the folders under a place that hold a manifest or a run.toml."""
    place = place.resolve()
    if not place.is_dir():
        raise ArtifactError("no such folder", where=place)
    for name, below, files in os.walk(place):
        folder = Path(name)
        if MANIFEST in files or "run.toml" in files:
            yield folder
        if len(folder.relative_to(place).parts) >= DEPTH:
            below.clear()


def _found(folder: Path, manifest: Manifest) -> Found:
    return Found(folder, manifest.kind, manifest.fingerprint, frozenset(manifest.inputs.values()))


def _datasets_of(folder: Path) -> list[str]:
    """Return the fingerprints of the datasets that a run names at the top of its run.toml: more than one if it changed."""
    try:
        with (folder / "run.toml").open(encoding="utf-8") as file:
            lines = takewhile(lambda line: line.startswith(DATASET_LINE), file)
            return [line.removeprefix(DATASET_LINE).strip() for line in lines]
    except (OSError, UnicodeDecodeError):
        return []


def _holds_weights(folder: Path) -> bool:
    return (folder / MANIFEST).is_file() and any(folder.glob("*.safetensors"))
