"""What the stages before training tell."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dozero.artifact import Manifest


@dataclass(frozen=True)
class StageDone:
    """A stage is up to date; `made` is false when it already was."""

    stage: str
    path: Path
    manifest: Manifest
    made: bool
