"""Files that survive a kill and a power failure, folders that one process holds, and refusals of the system in words."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from safetensors import SafetensorError

from dozero.errors import ArtifactError

LOCK_FILE = "run.lock"


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Hold the folder for this process until leaving; a second process gets ArtifactError naming the holder.

    The lock is the operating system's and ends with the process, however that ends.
    """
    with explain_os_errors(folder):
        make_folder(folder)
        file = open(folder / LOCK_FILE, "a+", encoding="utf-8")  # noqa: SIM115 - held open as long as the lock
    with file:
        if not _try_lock(file):
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise ArtifactError(
                "in use by another process", where=folder, got=holder, next="wait, or stop that process"
            )
        holder = f"process {os.getpid()} on {socket.gethostname()} since {time.strftime('%Y-%m-%d %H:%M:%S')}"
        with explain_os_errors(folder):  # past Python's buffer: closing would write it again, and fail again
            os.ftruncate(file.fileno(), 0)
            os.write(file.fileno(), holder.encode())
        yield


def make_folder(path: Path) -> None:
    """Make a folder and those above it, each named on disk before this returns: a power failure takes none away."""
    missing = [p for p in (path, *path.parents) if not p.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for made in reversed(missing):
        sync(made.parent)


def write_whole(path: Path, text: str) -> None:
    """Write a text file so that after a kill or a power failure the old or the new one is there, whole."""
    temporary = path.with_name(f".{path.name}.writing")
    temporary.write_text(text, encoding="utf-8", newline="\n")
    sync(temporary)
    os.replace(temporary, path)
    sync(path.parent)


def write_json(path: Path, tree: object) -> None:
    """Write a JSON file in UTF-8, readable by people."""
    path.write_text(json.dumps(tree, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def explain_os_errors(path: Path) -> Iterator[None]:
    """Turn an operating system's refusal (disk full, no permission, read-only) into an ArtifactError.

    safetensors tells such a refusal by an error of its own, which has the system's words but not its number.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:
        number = error.errno if isinstance(error, OSError) else None
        raise ArtifactError(
            f"cannot be written: {os.strerror(number) if number else error}",
            where=path,
            got=_free_space(path),
            next="free some space or give another folder; what was there before is intact",
        ) from error


def _free_space(path: Path) -> str | None:
    for place in (path, *path.parents):
        with suppress(OSError):  # not there yet, or a name the system refuses
            return f"{shutil.disk_usage(place).free / 1e6:.0f} MB free"
    return None


def sync(path: Path) -> None:
    """Return when what a file holds, or which names a folder holds, is on disk."""
    if os.name == "nt" and path.is_dir():  # Windows cannot open folders; renames there are journaled
        return
    descriptor = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _try_lock(file: IO[str]) -> bool:
    attempt: Callable[[], object]
    if sys.platform == "win32":
        import msvcrt

        attempt = lambda: msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # noqa: E731 - one of two, chosen here
    else:
        import fcntl

        attempt = lambda: fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # noqa: E731 - one of two, chosen here
    try:
        attempt()
    except OSError:
        return False
    return True
