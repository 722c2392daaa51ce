"""A corpus folder: documents kept and dropped in Parquet (a list of words in plain text), read one at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

from dozero.artifact import Manifest, open_artifact
from dozero.corpus.document import Document

WORDS = "words.txt"
ROWS_AT_ONCE, CHARACTERS_AT_ONCE = 1000, 4_000_000  # whichever comes first bounds what is held in memory


class Stored(NamedTuple):
    """A document as a corpus keeps it: its id, what it is, and for a dropped one the reason."""

    id: str
    document: Document
    reason: str | None = None
    personal: str = ""
    """Kinds and counts of personal data found in it, as in "cpf 2, email 1"."""


@dataclass(frozen=True)
class Corpus:
    """The documents of a corpus folder, and its manifest. Nothing is held in memory."""

    path: Path
    manifest: Manifest

    @property
    def parts(self) -> list[Path]:
        """Files of kept documents, in order; each holds documents of one collection."""
        names = sorted(n for n in self.manifest.files if n == WORDS or n.startswith("documents-"))
        return [self.path / name for name in names]

    def documents(self) -> Iterator[Document]:
        """Yield the kept documents, in order."""
        for part in self.parts:
            yield from read_part(part, self.manifest)

    def texts(self) -> Iterator[str]:
        """Yield the texts of the kept documents, in order."""
        return (document.text for document in self.documents())

    def stored(self, *, kept: bool) -> Iterator[Stored]:
        """Yield what is stored of kept or of dropped documents, in order."""
        prefix = "documents-" if kept else "dropped-"
        for name in sorted(n for n in self.manifest.files if n.startswith(prefix)):
            yield from read_rows(self.path / name)


def open_corpus(path: Path) -> Corpus:
    """Return the corpus at `path`, verified."""
    return Corpus(path, open_artifact(path, "corpus"))


def read_part(part: Path, manifest: Manifest) -> Iterator[Document]:
    """Yield the documents of one file of a corpus."""
    if part.name == WORDS:
        about = manifest.about
        for word in part.read_text(encoding="utf-8").split("\n")[:-1]:
            yield Document(word, about["source"], about["licence"])
    else:
        for row in read_rows(part):
            yield row.document


def read_rows(file: Path) -> Iterator[Stored]:
    """Yield the rows of a Parquet file of documents, holding one row group in memory at most."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as table:
        for batch in table.iter_batches(batch_size=ROWS_AT_ONCE):
            columns = {name: batch.column(name).to_pylist() for name in batch.schema.names}
            reasons = columns.get("reason", [None] * batch.num_rows)
            fields = zip(*(columns[name] for name in Document._fields), strict=True)
            for id_, values, reason, personal in zip(columns["id"], fields, reasons, columns["personal"], strict=True):
                yield Stored(id_, Document(*values), reason, personal)


def write_rows(file: Path, rows: Iterable[Stored], *, dropped: bool) -> int:
    """Write a Parquet file of documents and return how many; without any, no file is made.

    The same rows give the same bytes: row groups of a fixed size, zstd, nothing of when or where.
    """
    with RowWriter(file, dropped=dropped) as writer:
        for row in rows:
            writer.add(row)
        return writer.count


class RowWriter:
    """A Parquet file of documents, made with the first row and written a row group at a time."""

    def __init__(self, file: Path, *, dropped: bool) -> None:
        self.count = 0
        self._file, self._dropped = file, dropped
        self._batch: list[Stored] = []
        self._characters = 0
        self._writer: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self._flush()
        finally:
            if self._writer is not None:
                self._writer.close()

    def add(self, row: Stored) -> None:
        """Add a document."""
        self.count += 1
        self._batch.append(row)
        self._characters += len(row.document.text)
        if len(self._batch) == ROWS_AT_ONCE or self._characters >= CHARACTERS_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not self._batch:
            return
        columns: dict[str, list[str | None]] = {"id": [row.id for row in self._batch]}
        for i, name in enumerate(Document._fields):
            columns[name] = [row.document[i] for row in self._batch]
        columns["personal"] = [row.personal for row in self._batch]
        if self._dropped:
            columns["reason"] = [row.reason for row in self._batch]
        schema = pa.schema([(name, pa.string()) for name in columns])
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._file, schema, compression="zstd")
        self._writer.write_table(pa.table(columns, schema=schema))
        self._batch, self._characters = [], 0
