"""Units cover every file once, in order, whatever their size; reading them gives what reading whole files gives."""

import json
import random

import pytest

from dozero.corpus.document import Document
from dozero.corpus.read.listing import fingerprint, list_units
from dozero.corpus.read.reader import read_unit
from dozero.durable import sha256_of
from dozero.errors import DataError
from dozero.settings import SourceConfig


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("in"), random.Random(1)
    texts = [" ".join(rng.choices(["um", "dois", "três", "çã"], k=rng.randint(1, 60))) for _ in range(300)]
    (folder / "big.jsonl").write_text("".join(json.dumps({"text": t}, ensure_ascii=False) + "\n" for t in texts))
    (folder / "long.txt").write_text("\n\n".join(texts * 12))
    for n in range(20):
        (folder / f"s{n:02d}.txt").write_text(texts[n])
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"text": texts}), folder / "t.parquet", row_group_size=40)
    return folder


def documents(folder, size):
    units = list_units(SourceConfig(path=str(folder)), size)
    return [item for unit in units for item in read_unit(unit)], units


@pytest.mark.parametrize("size", [500, 7_000, 100_000])
def test_the_size_of_units_changes_no_document(folder, size):
    whole, one = documents(folder, 10**9)
    cut, many = documents(folder, size)
    assert len(one) == 1
    assert len(many) > 1
    assert all(isinstance(item, Document) for item in whole)
    key = [d for d in whole if "long.txt" not in d.source]
    assert [d for d in cut if "long.txt" not in d.source] == key
    assert "".join(d.text for d in cut if "long.txt" in d.source) == "".join(
        d.text for d in whole if "long.txt" in d.source
    )


def test_units_are_the_same_each_time_and_small_files_share_one(folder):
    source = SourceConfig(path=str(folder / "s*.txt"))
    assert list_units(source, 10**6) == list_units(source, 10**6)
    assert len(list_units(source, 10**6)) == 1
    assert len(list_units(source, 1)) == 20


def test_the_fingerprint_is_that_of_the_files(folder):
    found = fingerprint(SourceConfig(path=str(folder)))
    assert found == {p.name: sha256_of(p) for p in folder.iterdir()}


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda p: None, "no such file or folder"),
        (lambda p: p.mkdir(), "an empty folder"),
        (lambda p: (p.mkdir(), (p / "a.png").write_bytes(b"\x89PNG")), "nothing|PNG"),
        (lambda p: p.write_bytes(b""), "empty"),
    ],
)
def test_a_source_without_anything_to_read_is_one_error(tmp_path, make, what):
    make(tmp_path / "in")
    with pytest.raises(DataError, match=what) as refused:
        list_units(SourceConfig(path=str(tmp_path / "in")))
    assert "\n" not in str(refused.value)
    assert "in" in str(refused.value)


def test_a_glob_that_matches_nothing_is_told(tmp_path):
    with pytest.raises(DataError, match="no file matches"):
        list_units(SourceConfig(path=str(tmp_path / "*.txt")))
