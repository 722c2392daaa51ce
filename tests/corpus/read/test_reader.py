"""One folder with every format in it: each text comes out as a document, and whatever cannot be read is one clear line."""

import bz2
import gzip
import io
import json
import lzma
import os
import tarfile
import zipfile

import pytest

from dozero.corpus.document import Document
from dozero.corpus.read.limits import Limits, Unreadable
from dozero.corpus.read.listing import list_units
from dozero.corpus.read.reader import read_unit
from dozero.settings import SourceConfig

TEXT = "A maçã caiu da árvore do avô, e ninguém viu.\n"
XML_BOMB = b"""<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:t>&b;</w:t></w:document>"""


def zip_of(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def tar_of(members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            if isinstance(data, str):
                info.type, info.linkname = tarfile.SYMTYPE, data
                archive.addfile(info)
            else:
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def docx_of(text):
    docx = pytest.importorskip("docx")
    document, buffer = docx.Document(), io.BytesIO()
    document.add_paragraph(text.strip())
    document.save(buffer)
    return buffer.getvalue()


def epub_of(chapters):
    items = "".join(f'<item id="c{i}" href="c{i}.xhtml"/>' for i in range(len(chapters)))
    order = "".join(f'<itemref idref="c{i}"/>' for i in range(len(chapters)))
    opf = f'<package xmlns="http://www.idpf.org/2007/opf"><manifest>{items}</manifest><spine>{order}</spine></package>'
    container = '<container><rootfiles><rootfile full-path="O/p.opf"/></rootfiles></container>'
    pages = {f"O/c{i}.xhtml": f"<html><body><p>{text}</p></body></html>" for i, text in enumerate(chapters)}
    return zip_of({"mimetype": "application/epub+zip", "META-INF/container.xml": container, "O/p.opf": opf, **pages})


def parquet_of(**columns):
    import pyarrow as pa
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


def read(path, limits=None, **source):
    items = [item for unit in list_units(SourceConfig(path=str(path), **source)) for item in read_unit(unit, limits)]
    return [i for i in items if isinstance(i, Document)], [i for i in items if isinstance(i, Unreadable)]


PLAIN = TEXT.encode()
JSONL = (json.dumps({"text": TEXT}) + "\n").encode()
FORMATS = {
    "a.txt": PLAIN, "a.md": PLAIN, "latin.txt": TEXT.encode("latin-1"), "utf16.txt": TEXT.encode("utf-16"), "bom.txt": TEXT.encode("utf-8-sig"),
    "a.jsonl": JSONL, "a.json": json.dumps([{"text": TEXT}]).encode(), "a.csv": f'id;text\n1;"{TEXT.strip()}"\n'.encode(),
    "a.parquet": parquet_of(text=[TEXT], id=[1]), "a.html": f"<html><body><p>{TEXT}</p></body></html>".encode(),
    "a.txt.gz": gzip.compress(PLAIN), "a.txt.bz2": bz2.compress(PLAIN), "a.jsonl.xz": lzma.compress(JSONL),
    "a.zip": zip_of({"b/c.txt": PLAIN}), "a.tar": tar_of({"b.txt": PLAIN}), "a.tar.gz": gzip.compress(tar_of({"b.jsonl": JSONL})),
    "deep.zip": zip_of({"x.tar": tar_of({"b.txt.gz": gzip.compress(PLAIN)})}), "a.epub": epub_of([TEXT]), "misnamed.txt": zip_of({"c.txt": PLAIN}),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_its_text(tmp_path, name):
    (tmp_path / name).write_bytes(FORMATS[name])
    documents, faults = read(tmp_path, licence="MIT")
    assert faults == []
    assert [d.text.strip() for d in documents] == [TEXT.strip()]
    assert documents[0].licence == "MIT"
    assert documents[0].source.startswith(f"{tmp_path}/{name}")


def test_docx_and_pdf_give_their_text(tmp_path):
    (tmp_path / "a.docx").write_bytes(docx_of(TEXT))
    assert [d.text.strip() for d in read(tmp_path)[0]] == [TEXT.strip()]


def test_the_name_inside_an_archive_is_told(tmp_path):
    (tmp_path / "a.zip").write_bytes(zip_of({"b.jsonl": JSONL * 2}))
    assert [d.source for d in read(tmp_path)[0]] == [f"{tmp_path}/a.zip!b.jsonl#{n}" for n in (1, 2)]


BAD = {
    "empty.txt": (b"", "empty"),
    "nul.txt": (b"abc\0def", "NUL"),
    "image.txt": (b"\x89PNG\r\n\x1a\n", "PNG"),
    "bomb.txt.gz": (gzip.compress(b"a" * 200_000_000, 9), "times its size"),
    "cut.txt.gz": (gzip.compress(os.urandom(5000))[:-100], "cut off|damaged"),
    "links.tar": (tar_of({"l": "/etc/passwd"}), "link"),
    "absolute.tar": (tar_of({"/etc/passwd": PLAIN}), "leads out"),
    "upward.zip": (zip_of({"../../x.txt": PLAIN}), "leads out"),
    "laughs.docx": (zip_of({"[Content_Types].xml": "", "word/document.xml": XML_BOMB}), "bomb"),
    "field.jsonl": (b'{"body_html": "x"}\n', 'line 1: no field "text"; it has body_html'),
    "broken.jsonl": (JSONL + b"{not json}\n", "line 2: not JSON"),
    "cut.parquet": (FORMATS["a.parquet"][:-20], "damaged Parquet"),
    "cut.zip": (FORMATS["a.zip"][:-30], "damaged zip|zip"),
    "blank.csv": (b"text,id\n,1\n", "no text in it"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_read_is_told_in_one_line_and_the_rest_is_read(tmp_path, name):
    import re

    data, what = BAD[name]
    (tmp_path / name).write_bytes(data)
    (tmp_path / "zz-good.txt").write_bytes(PLAIN)
    documents, faults = read(tmp_path)
    assert documents[-1].source == f"{tmp_path}/zz-good.txt"
    told = " | ".join(f"{f.where.replace(', line', ': line')}: {f.what}" for f in faults)
    assert re.search(what, told.replace("#1", "")) or re.search(what, told), told
    assert all(name in f.where and "\n" not in f.where + f.what for f in faults)
    assert len(faults) == 1


def test_nested_zips_end_at_a_depth(tmp_path):
    data = zip_of({"a.txt": PLAIN})
    for _ in range(8):
        data = zip_of({"inner.zip": data})
    (tmp_path / "matryoshka.zip").write_bytes(data)
    assert [f.what for f in read(tmp_path)[1]] == ["packed more than 4 times, one in the other"]


def test_a_line_without_end_is_passed_over(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "' + b"x" * 3000 + b'"}\n' + JSONL)
    documents, faults = read(tmp_path, Limits(longest_line_bytes=1000))
    assert [d.text for d in documents] == [TEXT]
    assert [f.where for f in faults] == [f"{tmp_path}/a.jsonl, line 1"]


@pytest.mark.skipif(os.name == "nt", reason="links and pipes need POSIX")
def test_links_and_pipes_are_told_and_never_opened(tmp_path):
    (tmp_path / "a.txt").write_bytes(PLAIN)
    (tmp_path / "loop").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    documents, faults = read(tmp_path)
    assert len(documents) == 1
    assert sorted(f.where.rpartition("/")[2] for f in faults) == ["loop", "pipe"]
