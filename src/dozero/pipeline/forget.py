"""Forgetting: documents leave a corpus for good, and whoever asked is told what had been made from them."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dozero.artifact import MANIFEST, Manifest, write_artifact
from dozero.config import load_config
from dozero.corpus.events import UnitDone, Unread
from dozero.corpus.forgotten import read_forgotten, write_forgotten
from dozero.corpus.report import Summary, read_report, write_report
from dozero.corpus.store import Corpus, RowWriter, Stored, open_corpus, read_rows
from dozero.durable import lock
from dozero.errors import ArtifactError, ConfigError, DataError
from dozero.pipeline.events import StageDone
from dozero.pipeline.lineage import Lineage, trace_lineage
from dozero.pipeline.stages import Prepared, Workspace, prepare
from dozero.pipeline.workspace import RUN_FILE

LISTED = 10
ID_DIGITS, LEAST_DIGITS, SHA256_DIGITS = 16, 8, 64
FORGOTTEN_REASON = "forgotten"  # of a document that was asked to go before, and of which only the id is left


@dataclass(frozen=True)
class Wanted:
    """What is to be forgotten: the beginning of the SHA-256 of a text (an id is one), or a regular expression."""

    digest: str = ""
    pattern: re.Pattern[str] | None = None

    def matches(self, row: Stored) -> bool:
        """Return whether a stored document is meant."""
        if row.reason == FORGOTTEN_REASON:
            return False
        if self.pattern is not None:
            return any(self.pattern.search(field) for field in (row.document.text, row.document.source))
        if not row.id.startswith(self.digest[:ID_DIGITS]):
            return False
        return len(self.digest) <= ID_DIGITS or _sha256(row.document.text).startswith(self.digest)


def parse_wanted(text: str) -> Wanted:
    """Return what `--forget` means: 8 to 64 hexadecimal digits are an id or hash, all else a regular expression.

    A leading "re:" makes anything a regular expression.

    >>> parse_wanted("0123abcd").digest, parse_wanted("re:0123abcd").pattern
    ('0123abcd', re.compile('0123abcd'))
    """
    if re.fullmatch(rf"[0-9a-fA-F]{{{LEAST_DIGITS},{SHA256_DIGITS}}}", text):
        return Wanted(digest=text.lower())
    expression = text.removeprefix("re:")
    if not expression:
        raise ConfigError("nothing to forget", where="--forget", expected="an id, a SHA-256 or a regular expression")
    try:
        return Wanted(pattern=re.compile(expression))
    except re.error as error:
        raise ConfigError(f"not a regular expression ({error})", where="--forget", got=repr(expression)) from None


@dataclass(frozen=True)
class Match:
    """A document that is to be forgotten; its text is not shown."""

    id: str
    source: str
    reason: str | None


@dataclass(frozen=True)
class Matched:
    """How many documents are meant, the first of them, and what was made from the corpus that holds them."""

    corpus: Path
    kept: int
    dropped: int
    first: tuple[Match, ...]
    lineage: Lineage
    places: tuple[Path, ...]
    """Folders that were searched for what was made from it."""


@dataclass(frozen=True)
class Erased:
    """The corpus is written anew without the documents."""

    corpus: Path
    documents: int
    kept: int
    dropped: int


def find_corpus(path: Path) -> tuple[Path, Workspace | None]:
    """Return the corpus that a path means, and the workspace it belongs to, if any."""
    if (path / RUN_FILE).is_file():
        return Workspace(path).corpus, Workspace(path)
    root = path.resolve().parent.parent
    if (root / RUN_FILE).is_file() and Workspace(root).corpus == path.resolve():
        return path, Workspace(root)
    if not (path / MANIFEST).is_file():
        raise ArtifactError("holds no corpus", where=path, expected="a workspace or the folder of a corpus")
    return path, None


def forget(
    path: Path,
    wanted: Wanted,
    *,
    also: Sequence[Path] = (),
    keep_pattern: bool = False,
    rebuild: bool = True,
    processes: int = 1,
) -> Iterator[Matched | Erased | StageDone | UnitDone | Unread]:
    """Erase the documents from the corpus of a folder or workspace, yielding what happens.

    The first event tells what is meant; whoever leaves the iterator there has changed nothing. Then the corpus is
    replaced at once, and in a workspace tokenizer and dataset are made anew. Weights are not touched.
    """
    path, workspace = find_corpus(path)
    corpus = open_corpus(path)
    if read_report(path) is None:
        raise DataError("not a curated corpus: made from a list or by a grammar", where=path, next="change its source")
    places = (workspace.root if workspace else path.resolve().parent, *also)
    lineage = trace_lineage({corpus.manifest.fingerprint} | read_forgotten(path).lineage, places)
    yield find_matches(corpus, wanted, lineage, places)
    yield erase(corpus, wanted, lineage, keep_pattern=keep_pattern)
    if workspace is not None and rebuild:
        for stage in prepare(load_config(workspace.root / RUN_FILE), workspace, processes):
            if not isinstance(stage, Prepared):
                yield stage


def find_matches(corpus: Corpus, wanted: Wanted, lineage: Lineage, places: Sequence[Path]) -> Matched:
    """Return how many documents of a corpus are meant, and the first of them."""
    counts, first = {True: 0, False: 0}, list[Match]()
    for kept in (True, False):
        for row in corpus.stored(kept=kept):
            if wanted.matches(row):
                counts[kept] += 1
                first += [Match(row.id, row.document.source, row.reason)] if len(first) < LISTED else []
    return Matched(corpus.path, counts[True], counts[False], tuple(first), lineage, tuple(places))


def erase(corpus: Corpus, wanted: Wanted, lineage: Lineage, *, keep_pattern: bool = False) -> Erased:
    """Write the corpus anew without the documents and with their ids in forgotten.json, streaming, all or nothing.

    Inputs and settings stay those of the manifest, so that it is still the corpus of its files.
    """
    old, path = corpus.manifest, corpus.path
    report = read_report(path)
    assert report is not None
    unread = [[line["where"], line["what"]] for line in report["unreadable_listed"]]
    if wanted.pattern is not None:
        unread = [line for line in unread if not wanted.pattern.search(line[0])]
    manifest = Manifest("corpus", old.inputs, old.config, dict(old.counts), dict(old.about), old.seconds)
    unfinished = path.parent / f".curating-{path.name}"  # of an interrupted curation: it holds texts too
    with lock(unfinished), write_artifact(path, manifest) as folder:
        summary, ids = _copy_without(corpus, wanted, folder)
        pattern = wanted.pattern.pattern if keep_pattern and wanted.pattern is not None else None
        write_forgotten(folder, read_forgotten(path).plus(ids, pattern, lineage.fingerprints))
        write_report(folder, manifest, summary, unread, unread_count=report["unreadable"])
    shutil.rmtree(unfinished)
    before = report["kept"]["documents"] + report["dropped"]["documents"]
    kept, dropped = summary.kept, summary.reasons.total()
    return Erased(path, before - kept - dropped, kept, dropped)


def _copy_without(corpus: Corpus, wanted: Wanted, folder: Path) -> tuple[Summary, set[str]]:
    """Copy the documents that stay to `folder`; return their summary and the ids of those that do not."""
    summary, ids = Summary(), set[str]()
    for name in sorted(n for n in corpus.manifest.files if n.startswith(("documents-", "dropped-"))):
        with RowWriter(folder / name, dropped=name.startswith("dropped-")) as writer:
            for row in read_rows(corpus.path / name):
                if wanted.matches(row):
                    ids.add(row.id)
                else:
                    writer.add(row)
                    summary.add(row)
    return summary, ids


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
