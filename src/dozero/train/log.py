"""Append-only JSONL logs of a run that hold each step once, however often the run was killed."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from dozero.durable import explain_os_errors, write_whole


class StepLog:
    """A file of JSON lines, each with a "step". What it holds past the step a run continues from is removed."""

    def __init__(self, path: Path, continue_from: int) -> None:
        self.path = path
        self._file = _cut_and_open(path, continue_from)

    def write(self, **fields: Any) -> None:
        """Append one line."""
        with explain_os_errors(self.path):
            self._file.write(json.dumps(fields, ensure_ascii=False) + "\n")
            self._file.flush()

    def cut(self, continue_from: int) -> None:
        """Remove what is past a step, because the run went back to it."""
        self.close()
        self._file = _cut_and_open(self.path, continue_from)

    def sync(self) -> None:
        """Make everything written so far durable; called before a checkpoint that counts on it."""
        with explain_os_errors(self.path):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file; what could not be written has been told by `write`."""
        with suppress(OSError):
            self._file.close()


def _cut_and_open(path: Path, continue_from: int) -> IO[str]:
    with explain_os_errors(path):
        kept = [line for line in _whole_lines(path) if json.loads(line)["step"] <= continue_from]
        write_whole(path, "".join(kept))
        return path.open("a", encoding="utf-8", newline="\n")


def read_log(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a log; a last line cut short by a kill is left out."""
    return [json.loads(line) for line in _whole_lines(path)]


def _whole_lines(path: Path) -> list[str]:
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")  # bytes, because the last line may be cut inside a letter
    return [line.decode() + "\n" for line in lines[:-1] if _is_entry(line)]


def _is_entry(line: bytes) -> bool:
    try:
        entry = json.loads(line)
    except ValueError:
        return False
    return isinstance(entry, dict) and isinstance(entry.get("step"), int)
