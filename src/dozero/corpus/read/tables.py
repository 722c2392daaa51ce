"""Parquet: rows of one column of text, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dozero.corpus.document import Document
from dozero.corpus.read.limits import Unreadable
from dozero.corpus.read.origin import Origin, find_text_field, read_record
from dozero.corpus.read.streams import File
from dozero.errors import DataError

ROWS_AT_ONCE = 256
# What a row counts for, besides its text: rows of nothing pack without limit.
ROW_BYTES = 16
ABOUT_FIELDS = ("licence", "license", "url", "source")


def open_table(file: File) -> Any:
    """Return the open Parquet file; DataError when it is damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # Column pages are read as they are needed, a megabyte at a time, not a row group at once.
        return pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"damaged Parquet ({_first_words(error)})") from None


def read_parquet(
    file: File, origin: Origin, groups: range | None = None, first: int = 1
) -> Iterator[Document | Unreadable]:
    """Yield a document for each row of the row groups (all when None); `first` is the number of the first row."""
    import pyarrow as pa

    table = open_table(file)
    schema = table.schema_arrow
    column = find_text_field(schema.names, origin.text_field)
    wanted = [column, *(name for name in ABOUT_FIELDS if name in schema.names and name != column)]
    _check_sizes(table, column, origin)
    number = first
    try:
        batches = table.iter_batches(
            ROWS_AT_ONCE, row_groups=None if groups is None else list(groups), columns=wanted, use_threads=False
        )
        for batch in batches:
            for record in batch.to_pylist():
                text = record[column]
                origin.budget.spend(ROW_BYTES + (len(text) if isinstance(text, str) else 0))
                yield read_record(record, number, f"{origin.name}#{number}", origin)
                number += 1
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"damaged Parquet at row {number} ({_first_words(error)})") from None


def _check_sizes(table: Any, column: str, origin: Origin) -> None:
    """Refuse a column that says it unpacks to far more than it takes: a page is unpacked whole."""
    limits = origin.limits
    for group in range(table.metadata.num_row_groups):
        row_group = table.metadata.row_group(group)
        for index in range(row_group.num_columns):
            chunk = row_group.column(index)
            allowed = limits.free_bytes + limits.ratio * chunk.total_compressed_size
            if chunk.path_in_schema == column and chunk.total_uncompressed_size > allowed:
                raise DataError(f"unpacks to more than {limits.ratio} times its size")


def _first_words(error: Exception) -> str:
    return str(error).split("\n", 1)[0][:100]
