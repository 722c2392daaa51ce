"""One document of a corpus, kept or dropped, as it is stored and as it was read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dozero.corpus.card import settings_of
from dozero.corpus.catalog import find_entry
from dozero.corpus.document import Document
from dozero.corpus.judge import FORGOTTEN, judge_document, make_judge
from dozero.corpus.read.listing import list_units
from dozero.corpus.read.reader import read_unit
from dozero.corpus.report import read_report
from dozero.corpus.store import Corpus, Stored, read_rows
from dozero.errors import ConfigError, DataError
from dozero.settings import CurateConfig, DataConfig, SourceConfig

LEAST_DIGITS = 4
IDS_TOLD = 5
NO_FILE, CHANGED, NOT_LOCAL, ERASED = "no file", "changed", "not local", "forgotten"


@dataclass(frozen=True)
class Before:
    """A document as its source holds it now, or why it cannot be had."""

    text: str | None
    missing: str = ""


def find_document(corpus: Corpus, prefix: str) -> list[Stored]:
    """Return the rows of the document whose id begins so: several where equal texts came from several sources.

    Kept ones come first. Raises DataError when there is none, or when the beginning fits several ids.
    """
    if not re.fullmatch(rf"[0-9a-fA-F]{{{LEAST_DIGITS},}}", prefix):
        raise ConfigError(
            "not an id", where="--document", expected=f"{LEAST_DIGITS} to 16 hexadecimal digits", got=prefix
        )
    names = [n for start in ("documents-", "dropped-") for n in sorted(corpus.manifest.files) if n.startswith(start)]
    rows = [row for name in names for row in _rows_with(corpus.path / name, prefix.lower()[:16])]
    ids = sorted({row.id for row in rows})
    if not ids:
        raise DataError("holds no such document, kept or dropped", where=corpus.path, got=prefix)
    if len(ids) > 1:
        told = ", ".join(ids[:IDS_TOLD]) + (", ..." if len(ids) > IDS_TOLD else "")
        raise DataError("several documents begin so", where=corpus.path, got=prefix, expected=f"one of {told}")
    return rows


def _rows_with(file: Path, prefix: str) -> Iterator[Stored]:
    """Yield the rows of a file whose id begins so; the texts are read only where the column of ids says so."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as table:
        batches = table.iter_batches(columns=["id"])
        found = any(id_.startswith(prefix) for batch in batches for id_ in batch.column("id").to_pylist())
    if found:
        yield from (row for row in read_rows(file) if row.id.startswith(prefix))


def read_before(corpus: Corpus, row: Stored) -> Before:
    """Return a stored document as it is read from its source now: before any cleaning or masking.

    That it is the same document is known by doing again what was done to it: cleaned and masked it has the same id.
    """
    report = read_report(corpus.path)
    if row.reason == FORGOTTEN:
        return Before(None, ERASED)
    if report is None:
        return Before(None, NOT_LOCAL)
    data, config = settings_of(report)
    source = _source_of(row.document, data)
    if source is None:
        return Before(None, NOT_LOCAL)
    bare = config.model_copy(update={"filters": (), "evaluation": ""})
    try:
        for document in _documents(source):
            if document.source == row.document.source and _is_same(document, row, data, bare):
                return Before(document.text)
    except DataError:  # nothing there to read
        return Before(None, NO_FILE)
    return Before(None, CHANGED)


def _documents(source: SourceConfig) -> Iterator[Document]:
    for unit in list_units(source):
        yield from (item for item in read_unit(unit) if isinstance(item, Document))


def _is_same(document: Document, row: Stored, data: DataConfig, config: CurateConfig) -> bool:
    stored, _ = judge_document(document, make_judge(data, config))
    return stored.id == row.id


def _source_of(document: Document, data: DataConfig) -> SourceConfig | None:
    """Return where to read a document again: its own file, or what its collection is read from; None if not local."""
    collections = {s.name or s.path: s for s in data.all_sources}
    collection = collections.get(document.collection)
    field = collection.text_field if collection else "text"
    file = file_of(document.source)
    if Path(file).is_file():
        return SourceConfig(path=file, text_field=field)
    if "://" not in document.source:
        return SourceConfig(path=file, text_field=field)
    # A record may name its own source, such as the address it was fetched from: then all of the collection is read.
    is_local = collection is not None and "://" not in collection.path and find_entry(collection.path) is None
    return collection if is_local else None


def file_of(source: str) -> str:
    """Return the file that a source names, without member and record; names that hold ! or # are known by being there.

    >>> file_of("a.zip!b.jsonl#3")
    'a.zip'
    """
    ends = [len(source), *(m.start() for m in reversed(list(re.finditer("[!#]", source))))]
    return next((source[:end] for end in ends if Path(source[:end]).is_file()), source[: ends[-1]])
