"""Files of a source on disk, in the order of their names: a file, a folder, a glob. Links are not followed."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from dozero.corpus.read.unit import Span
from dozero.errors import DataError


def find_files(path: str) -> list[Span]:
    """Return the files that a path names: itself, all below a folder, or what a glob matches (`data/**/*.md`).

    Hidden files and folders (.git) are passed over. Links, pipes and what may not be read come with the fault told.
    What the user names outright may be a link: only those found on the way are not followed.
    """
    if os.path.lexists(path):
        return _find_named(path)
    if not glob.has_magic(path):
        raise DataError("no such file or folder", where=path, next=_suggest(path))
    found = glob.glob(path, recursive=True, include_hidden=False)
    matches = sorted(match for match in found if "__MACOSX" not in match.split(os.sep))
    if not matches:
        raise DataError("no file matches", where=path)
    spans = [span for match in matches if not _is_folder(match) for span in _look_at(match, match)]
    if not spans:
        raise DataError("only folders match", where=path, next=f"{path.rstrip('/')}/**/*")
    return spans


def _find_named(path: str) -> list[Span]:
    real = os.path.realpath(path)
    if not os.path.exists(real):
        raise DataError("a link that leads nowhere or in a circle", where=path)
    if not os.path.isdir(real):
        return list(_look_at(real, path))
    spans = list(_walk(real, path.rstrip("/") or "/"))
    if not spans:
        raise DataError("an empty folder", where=path, expected="a folder with files (hidden ones are passed over)")
    return spans


def _walk(folder: str, name: str) -> Iterator[Span]:
    """Yield the files below a folder, each folder's own in the order of their names."""
    try:
        entries = sorted(os.listdir(folder))
    except OSError as error:
        yield Span(folder, name, fault=f"a folder that cannot be read ({error.strerror})")
        return
    for entry in entries:
        if entry.startswith(".") or entry == "__MACOSX":
            continue
        path, shown = os.path.join(folder, entry), f"{name.rstrip('/')}/{entry}"
        if _is_folder(path):
            yield from _walk(path, shown)
        else:
            yield from _look_at(path, shown)


def _is_folder(path: str) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)


def _look_at(path: str, name: str) -> Iterator[Span]:
    """Yield the file, with the fault that is seen without opening it."""
    shown = os.fsencode(name).decode(errors="backslashreplace")
    try:
        mode = os.lstat(path).st_mode
    except OSError as error:
        yield Span(path, shown, fault=f"cannot be read ({error.strerror})")
        return
    if stat.S_ISLNK(mode):
        yield Span(path, shown, fault="a link, not followed (name what it points to as a source)")
    elif not stat.S_ISREG(mode):
        yield Span(path, shown, fault="neither a file nor a folder (a pipe, socket or device)")
    elif not os.access(path, os.R_OK):
        yield Span(path, shown, fault="no permission to read it")
    else:
        yield Span(path, shown)


def _suggest(path: str) -> str | None:
    """Return the nearest folder that exists, to look into."""
    above = next((str(parent) for parent in Path(path).parents if parent.is_dir()), None)
    return None if above is None else f"ls {above}"
