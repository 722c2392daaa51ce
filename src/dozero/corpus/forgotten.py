"""What a corpus was asked to forget, kept beside it so that curating the same files again does not bring it back.

Only ids stay, which are hashes of texts. A regular expression may itself hold what is to be forgotten (a name, a
number), so it stays only where the user says so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from dozero.corpus.document import Document
from dozero.durable import write_json
from dozero.errors import ArtifactError

FORGOTTEN = "forgotten.json"


@dataclass(frozen=True)
class Forgotten:
    """Documents that must not come back; plain data that compares and travels to other processes."""

    ids: frozenset[str] = frozenset()
    """Ids of documents as they were stored: hashes of the cleaned and masked text."""
    patterns: tuple[str, ...] = ()
    """Regular expressions over text and source that the user chose to keep."""
    lineage: frozenset[str] = frozenset()
    """Fingerprints of this corpus as it was before, and of what was made from it."""

    def covers(self, document: Document) -> bool:
        """Return whether a document, cleaned and masked as it would be stored, is to be forgotten."""
        if self.ids and document.id in self.ids:
            return True
        return any(re.search(pattern, field) for pattern in self.patterns for field in (document.text, document.source))

    def plus(self, ids: Iterable[str], pattern: str | None, lineage: Iterable[str]) -> Forgotten:
        """Return what was forgotten before and now."""
        patterns = self.patterns if pattern is None or pattern in self.patterns else (*self.patterns, pattern)
        return replace(self, ids=self.ids.union(ids), patterns=patterns, lineage=self.lineage.union(lineage))


def read_forgotten(folder: Path) -> Forgotten:
    """Return what the corpus at `folder` was asked to forget: nothing where nobody asked."""
    file = folder / FORGOTTEN
    try:
        tree = json.loads(file.read_text(encoding="utf-8"))
        return Forgotten(frozenset(tree["ids"]), tuple(tree["patterns"]), frozenset(tree["lineage"]))
    except (FileNotFoundError, NotADirectoryError):
        return Forgotten()
    except (OSError, ValueError, KeyError, TypeError) as error:
        # To go on would bring back what somebody asked to have erased.
        raise ArtifactError(
            f"cannot be read ({error})", where=file, next="restore it, or delete it to forget nothing"
        ) from None


def write_forgotten(folder: Path, forgotten: Forgotten) -> None:
    """Write the list to the folder of a corpus; nothing forgotten, no file."""
    if forgotten != Forgotten():
        tree = {
            "ids": sorted(forgotten.ids),
            "patterns": list(forgotten.patterns),
            "lineage": sorted(forgotten.lineage),
        }
        write_json(folder / FORGOTTEN, tree)
