"""Documents go to disk and come back the same, in bytes that follow from them alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozero.artifact import Manifest, write_artifact
from dozero.corpus import store
from dozero.corpus.document import Document
from dozero.corpus.store import RowWriter, Stored, open_corpus, read_part, read_rows, write_rows
from dozero.errors import ArtifactError
from dozero.testing import WORDS, tiny_corpus

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
ROWS = st.lists(st.builds(Stored, TEXT, st.builds(Document, TEXT, TEXT, TEXT, TEXT, TEXT), TEXT, TEXT), max_size=12)


@given(rows=ROWS, dropped=st.booleans())
def test_rows_come_back_as_they_went(rows, dropped, tmp_path_factory):
    file = tmp_path_factory.mktemp("store") / "a.parquet"
    expected = rows if dropped else [row._replace(reason=None) for row in rows]
    assert write_rows(file, iter(rows), dropped=dropped) == len(rows)
    assert file.exists() == bool(rows)
    assert not rows or list(read_rows(file)) == expected


def rows_of(count):
    return [Stored(str(n), Document(f"texto {n} " * 50, "a", "MIT", "pt", "c")) for n in range(count)]


def test_row_groups_bound_memory_and_bytes_are_the_same_each_time(tmp_path, monkeypatch):
    import pyarrow.parquet as pq

    monkeypatch.setattr(store, "CHARACTERS_AT_ONCE", 5000)
    for name in "ab":
        write_rows(tmp_path / name, rows_of(100), dropped=False)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert pq.ParquetFile(tmp_path / "a").num_row_groups > 5
    assert list(read_rows(tmp_path / "a")) == rows_of(100)


def test_a_corpus_is_read_part_by_part_in_order_and_verified(tmp_path):
    with write_artifact(tmp_path / "corpus", Manifest("corpus")) as folder:
        write_rows(folder / "documents-000001.parquet", rows_of(5)[3:], dropped=False)
        write_rows(folder / "documents-000000.parquet", rows_of(5)[:3], dropped=False)
        write_rows(folder / "dropped-000000.parquet", [rows_of(1)[0]._replace(reason="c4: x")], dropped=True)
    corpus = open_corpus(tmp_path / "corpus")
    assert [row.id for row in corpus.stored(kept=True)] == list("01234")
    assert list(corpus.texts()) == [row.document.text for row in rows_of(5)] == list(corpus.texts())
    assert [d for part in corpus.parts for d in read_part(part, corpus.manifest)] == list(corpus.documents())
    assert [row.reason for row in corpus.stored(kept=False)] == ["c4: x"]
    corpus.parts[0].write_bytes(b"")
    with pytest.raises(ArtifactError, match="size differs"):
        open_corpus(tmp_path / "corpus")


def test_a_corpus_of_words_is_read_alike(tmp_path):
    corpus = tiny_corpus(tmp_path / "corpus")
    assert tuple(corpus.texts()) == WORDS
    assert {d.licence for d in corpus.documents()} == {"CC0-1.0"}


def test_an_error_on_the_way_still_closes_the_file(tmp_path):
    def fail() -> None:
        with RowWriter(tmp_path / "a", dropped=False) as writer:
            writer.add(rows_of(1)[0])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(read_rows(tmp_path / "a")) == rows_of(1)
