"""A file is what its bytes say; its name decides only among plain texts."""

import io
import json
import tarfile
import zipfile

import pytest

from dozero.corpus.read.sniff import inner_name, sniff, split_header
from dozero.errors import DataError


def tar_bytes():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.txt"))
    return buffer.getvalue()


def zip_bytes():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.txt", "oi")
    return buffer.getvalue()


JSONL = b'{"text": "um"}\n{"text": "dois"}\n'
HEADS = {
    "gzip": b"\x1f\x8b\x08", "bzip2": b"BZh9", "xz": b"\xfd7zXZ\0", "zstd": b"\x28\xb5\x2f\xfd", "zip": zip_bytes(), "tar": tar_bytes(),
    "parquet": b"PAR1....", "pdf": b"%PDF-1.7", "jsonl": JSONL, "json": b'[{"text": "um"}]', "html": b"<!DOCTYPE html><p>Oi",
    "csv": b"id,text\n1,um\n2,dois\n", "txt": b"Era uma vez",
}  # fmt: skip


@pytest.mark.parametrize("kind", HEADS)
def test_the_content_decides_whatever_the_name_says(kind):
    assert sniff(HEADS[kind], f"file.{kind}") == kind
    if kind not in ("csv", "txt"):
        assert sniff(HEADS[kind], "misleading.txt") == kind


def test_among_plain_texts_the_name_decides():
    assert sniff(b"id,text\n1,um\n2,dois\n", "a.txt") == "txt"
    assert sniff(b"nothing that looks like columns", "a.csv") == "csv"
    assert sniff(b"<p>a fragment", "a.html") == "html"
    assert sniff(json.dumps({"text": "um"}).encode(), "a.json") in ("json", "jsonl")


@pytest.mark.parametrize("bom", [b"\xef\xbb\xbf", b"\xff\xfe"])
def test_a_byte_order_mark_hides_nothing(bom):
    encoded = '{"text": "um"}\n'.encode("utf-16-le") if bom == b"\xff\xfe" else JSONL
    assert sniff(bom + encoded, "a") == "jsonl"


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (b"", "empty"),
        (b"\x89PNG\r\n", "PNG"),
        (b"\x7fELF", "program"),
        (b"a\0b", "binary"),
        (b"\x01\x02\x03" * 50, "binary"),
        (b"PK??", "zip"),
    ],
)
def test_what_has_no_text_is_told_by_name(head, what):
    with pytest.raises(DataError, match=what):
        sniff(head, "a.txt")


def test_names_lose_their_packing():
    assert [inner_name(n) for n in ("a.jsonl.zst", "b.TGZ", "c.txt")] == ["a.jsonl", "b.tar", "c.txt"]
    assert split_header('"id"; "texto "', ";") == ["id", "texto"]


def test_hostile_beginnings_take_no_time():
    for head in (b"<!--" * 16000, b" " * 65536, b'{"' + b"\\" * 65000, b"[" * 65536, b"<?xml " * 10000):
        sniff(head, "a.txt")
