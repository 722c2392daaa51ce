"""A folder that can answer "what made you?": files and a manifest, written whole or not at all.

Writing goes to a hidden folder beside the target; every file is flushed to disk, the manifest is written last, and
one rename makes the folder appear. Whatever was killed on the way leaves only a hidden folder that the next writer
sweeps away. Opening verifies sizes and SHA-256 of every file against the manifest.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from dozero.durable import explain_os_errors, make_folder, sha256_of, sync, write_json
from dozero.errors import ArtifactError

MANIFEST = "manifest.json"
FORMAT = 1
_TEMPORARY = ".writing-"
_REPLACED = ".replaced-"


@dataclass
class Manifest:
    """What an artifact is, what it was made from and how; stored beside its files as manifest.json."""

    kind: str
    """corpus, tokenizer, dataset, checkpoint or model."""
    inputs: dict[str, str] = field(default_factory=dict)
    """Fingerprint of each artifact or file it was made from."""
    config: dict[str, Any] = field(default_factory=dict)
    """The settings that shaped it, resolved."""
    counts: dict[str, Any] = field(default_factory=dict)
    """How many of what it holds."""
    about: dict[str, Any] = field(default_factory=dict)
    """Source, licence and whatever else a reader of the folder should know."""
    seconds: float = 0.0
    """Time it took to make."""
    versions: dict[str, str] = field(default_factory=dict)
    """Versions of the programs that made it."""
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Bytes and SHA-256 of each file."""
    format: int = FORMAT
    """Version of this layout."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what it is and holds: equal for equal content, whenever and wherever it was made."""
        content = {"kind": self.kind, "inputs": self.inputs, "config": self.config, "files": self.files}
        return _sha256_of_tree(content)


@contextmanager
def write_artifact(path: Path, manifest: Manifest) -> Iterator[Path]:
    """Yield an empty folder to fill; on leaving without error it becomes `path`, with the manifest completed.

    An older artifact at `path` is replaced; a folder that is not an artifact of this kind never is.
    Raises ArtifactError with the space left when the disk is full; `path` is then as it was.
    """
    with explain_os_errors(path):
        check_replaceable(path, manifest.kind)
        make_folder(path.parent)
        sweep_leftovers(path)
        temporary = path.parent / f"{_TEMPORARY}{path.name}-{os.getpid()}"
        temporary.mkdir()
    start = time.perf_counter()
    try:
        with explain_os_errors(path):
            yield temporary
            manifest.seconds = manifest.seconds or round(time.perf_counter() - start, 3)
            _seal(temporary, manifest)
            _swap_in(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def read_manifest(path: Path, kind: str | None = None) -> Manifest:
    """Return the manifest of the artifact at `path` without reading its files."""
    file = path / MANIFEST
    try:
        tree = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(tree, dict) and isinstance(tree.get("format"), int) and tree["format"] > FORMAT:
            raise _newer_format(file, tree["format"])
        is_as_written = tree.pop("sha256", None) == _sha256_of_tree(tree)
        manifest = Manifest(**tree)
        files_are_told = all(set(entry) == {"bytes", "sha256"} for entry in manifest.files.values())
    except FileNotFoundError:
        raise ArtifactError("not an artifact of dozero", where=path, expected=f"a folder with {MANIFEST}") from None
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ArtifactError(f"manifest cannot be read ({error})", where=file) from None
    if manifest.format != FORMAT or not files_are_told:
        raise ArtifactError("manifest of another version", where=file, expected=FORMAT, got=manifest.format)
    if not is_as_written:
        raise ArtifactError("manifest was altered: it differs from its own SHA-256", where=file)
    if kind is not None and manifest.kind != kind:
        raise ArtifactError("another kind of artifact", where=path, expected=kind, got=manifest.kind)
    return manifest


def _newer_format(file: Path, found: int) -> ArtifactError:
    what = "written by a newer version of dozero"
    return ArtifactError(
        what, where=file, expected=f"format {FORMAT} or older", got=f"format {found}", next="pip install -U dozero"
    )


def open_artifact(path: Path, kind: str) -> Manifest:
    """Return the manifest after verifying every file it names; ArtifactError names the first one that differs."""
    manifest = read_manifest(path, kind)
    for name, entry in manifest.files.items():
        file = path / name
        if not file.is_file():
            raise ArtifactError("file is missing", where=file)
        if file.stat().st_size != entry["bytes"]:
            raise ArtifactError("size differs", where=file, expected=entry["bytes"], got=file.stat().st_size)
        if sha256_of(file) != entry["sha256"]:
            raise ArtifactError("content differs from its SHA-256 in the manifest", where=file)
    return manifest


def is_current(path: Path, kind: str, inputs: Mapping[str, str], config: Mapping[str, Any]) -> bool:
    """Return whether `path` holds an intact artifact made from just these inputs and settings."""
    try:
        manifest = read_manifest(path, kind)
        if manifest.inputs != dict(inputs) or manifest.config != json.loads(json.dumps(config)):
            return False
        open_artifact(path, kind)
    except ArtifactError:
        return False
    return True


def check_replaceable(path: Path, kind: str) -> None:
    """Raise ArtifactError unless `path` is free, an empty folder, or an artifact of this kind."""
    if path.is_dir() and not any(path.iterdir()):
        return
    if (path.exists() or path.is_symlink()) and not _is_ours(path, kind):
        raise ArtifactError(
            "holds something dozero did not write, so it is left alone",
            where=path,
            expected=f"no such path, an empty folder or a {kind} of dozero",
            next="another folder with --out",
        )


def _is_ours(path: Path, kind: str) -> bool:
    """Return whether a manifest of this kind is there, be it damaged: a damaged artifact may be made anew."""
    try:
        tree = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    fields = set(Manifest.__dataclass_fields__)
    return isinstance(tree, dict) and tree.get("kind") == kind and len(fields & set(tree)) >= len(fields) - 1


def sweep_leftovers(path: Path) -> None:
    """Remove what a killed writer of `path` left beside it, and put back what it had moved aside."""
    for old in _leftovers(path, _REPLACED):
        if path.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.rename(old, path)
    for half in _leftovers(path, _TEMPORARY):
        shutil.rmtree(half, ignore_errors=True)


def _leftovers(path: Path, prefix: str) -> list[Path]:
    """Return the hidden folders of one prefix that writers of `path` made, told apart from those of `path`-2."""
    start = f"{prefix}{path.name}-"
    beside = path.parent.iterdir() if path.parent.is_dir() else ()
    return [p for p in beside if p.name.startswith(start) and p.name.removeprefix(start).isdigit()]


def _sha256_of_tree(tree: object) -> str:
    return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide results."""
    found = {"python": platform.python_version(), "platform": f"{sys.platform}-{platform.machine()}"}
    for name in ("dozero", "torch", "numpy", "wordfreq"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _seal(folder: Path, manifest: Manifest) -> None:
    """Complete the manifest from the files in `folder`, and make all of it durable."""
    manifest.versions = manifest.versions or versions()
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    manifest.files = {
        str(p.relative_to(folder).as_posix()): {"bytes": p.stat().st_size, "sha256": sha256_of(p)} for p in files
    }
    for file in files:
        sync(file)
    tree = asdict(manifest)
    write_json(folder / MANIFEST, {**tree, "sha256": _sha256_of_tree(tree)})
    sync(folder / MANIFEST)
    sync(folder)


def _swap_in(temporary: Path, path: Path) -> None:
    """Rename `temporary` to `path`. A folder cannot be renamed over another, so an old one steps aside first."""
    if path.exists():
        aside = path.parent / f"{_REPLACED}{path.name}-{os.getpid()}"
        os.rename(path, aside)
        os.rename(temporary, path)
        shutil.rmtree(aside, ignore_errors=True)
    else:
        os.rename(temporary, path)
    sync(path.parent)
