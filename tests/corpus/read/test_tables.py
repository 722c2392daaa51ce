"""Parquet, row by row, against pyarrow."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dozero.corpus.document import Document
from dozero.corpus.read.limits import Budget, Limits, Unreadable
from dozero.corpus.read.origin import Origin
from dozero.corpus.read.tables import read_parquet
from dozero.errors import DataError


def origin(budget=10**9):
    return Origin("t.parquet", "MIT", "", "text", Limits(), Budget(budget))


def table(rows=1000, **options):
    buffer = io.BytesIO()
    texts = [f"linha número {n}" if n % 7 else None for n in range(rows)]
    pq.write_table(pa.table({"id": range(rows), "text": texts, "license": ["CC0-1.0"] * rows}), buffer, **options)
    return buffer, texts


def test_each_row_with_text_is_a_document_and_empty_ones_are_told():
    buffer, texts = table()
    items = list(read_parquet(buffer, origin()))
    assert [i.text for i in items if isinstance(i, Document)] == [t for t in texts if t]
    assert {i.licence for i in items if isinstance(i, Document)} == {"CC0-1.0"}
    assert sum(isinstance(i, Unreadable) for i in items) == texts.count(None)


def test_row_groups_together_are_the_whole():
    buffer, _ = table(row_group_size=300)
    parts = [i for g in range(4) for i in read_parquet(buffer, origin(), range(g, g + 1), 1 + 300 * g)]
    assert parts == list(read_parquet(buffer, origin()))


def test_a_table_that_unpacks_without_end_is_refused():
    buffer = io.BytesIO()
    pq.write_table(pa.table({"text": ["x" * 1_000_000] * 100}), buffer, compression="zstd", use_dictionary=False)
    with pytest.raises(DataError, match=r"unpacks to more than|far beyond"):
        list(read_parquet(buffer, origin(budget=1_000_000)))


def test_a_damaged_table_is_told():
    with pytest.raises(DataError, match="damaged Parquet"):
        list(read_parquet(io.BytesIO(table()[0].getvalue()[:-50]), origin()))
    buffer = io.BytesIO()
    pq.write_table(pa.table({"x": ["a"]}), buffer)
    with pytest.raises(DataError, match='no field "text"'):
        list(read_parquet(buffer, origin()))
