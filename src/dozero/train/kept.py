"""What was once measured about this machine, kept in the user's cache folder.

A missing, damaged or read-only cache costs a measurement, never a run.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any


def kept_file(name: str) -> Path:
    """Return the file of that name in DOZERO_CACHE, else in dozero under XDG_CACHE_HOME or ~/.cache."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("DOZERO_CACHE") or caches / "dozero") / name


def read_kept(name: str) -> dict[str, Any]:
    """Return what a file keeps; nothing if it cannot be read."""
    try:
        kept = json.loads(kept_file(name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def keep(name: str, facts: dict[str, Any]) -> None:
    """Put facts into a file, beside those it keeps already."""
    with suppress(OSError):
        file = kept_file(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_name(f".{file.name}.{os.getpid()}")
        temporary.write_text(json.dumps({**read_kept(name), **facts}, indent=1), encoding="utf-8")
        temporary.replace(file)
