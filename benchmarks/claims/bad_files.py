"""Claim: bombs and bad files end in one clear line naming the file, in little memory and time; the rest is read."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from claims.claim import Claim

MOST_BYTES, MOST_SECONDS = 500e6, 5.0
GOOD = (
    "Uma boa página de texto em português, com começo, meio e fim, que deve ficar no corpus apesar dos vizinhos. " * 4
)
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
# Curates a folder as the command does, and tells its own peak memory.
CURATE = """
import json, resource, sys
from dozero.cli.main import app
sys.argv[0] = "dozero"
error = ""
try:
    app(["curate", sys.argv[1], "-o", sys.argv[2], "--licence", "own", "--json", "--processes", "1", "curate.filters=[]"], standalone_mode=False)
except Exception as caught:
    error = str(caught)
print(json.dumps({"event": "End", "error": error, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
"""


def _zip(members: dict[str, bytes | str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def nested_zips(folder: Path) -> None:
    """Ten zips, one in the other."""
    data = _zip({"a.txt": "x" * 1000})
    for _ in range(10):
        data = _zip({"inner.zip": data})
    (folder / "bad.zip").write_bytes(data)


def gzip_of_zeros(folder: Path) -> None:
    """10 GB of zeros in 10 MB: one member of a gigabyte, ten times."""
    part = gzip.compress(bytes(1_000_000_000), 1)
    with (folder / "bad.txt.gz").open("wb") as file:
        for _ in range(10):
            file.write(part)


def tar_with_links(folder: Path) -> None:
    """Links and an absolute path, nothing else."""
    with tarfile.open(folder / "bad.tar", "w") as archive:
        for name, target in (("link", "/etc/passwd"), ("up", "../../secret")):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
        info = tarfile.TarInfo("/etc/absolute.txt")
        info.size = 4
        archive.addfile(info, io.BytesIO(b"text"))


def billion_laughs(folder: Path) -> None:
    """A docx whose document is an XML bomb."""
    xml = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "lol">{LAUGHS}]><w:document><w:t>&l9;</w:t></w:document>'
    (folder / "bad.docx").write_bytes(_zip({"[Content_Types].xml": "", "word/document.xml": xml}))


def long_line(folder: Path) -> None:
    """A text of one line of a gigabyte."""
    with (folder / "bad.txt").open("wb") as file:
        for _ in range(1000):
            file.write(b"a" * 1_000_000)


def pdf_without_text(folder: Path) -> None:
    """A PDF with one empty page."""
    import pypdf

    writer = pypdf.PdfWriter()
    writer.add_blank_page(100, 100)
    writer.write(str(folder / "bad.pdf"))


def plain(name: str, data: bytes) -> Callable[[Path], None]:
    """Return what writes a file of these bytes."""
    return lambda folder: (folder / name).write_bytes(data) and None


CASES: dict[str, Callable[[Path], None]] = {
    "nested zips": nested_zips,
    "a 10 GB gzip of zeros": gzip_of_zeros,
    "a tar with links and absolute paths": tar_with_links,
    "billion-laughs XML": billion_laughs,
    "one 1 GB line": long_line,
    "invalid UTF-8": plain("bad.txt", b"\x81\x8d\x8f\x90\x9d" * 100),
    "NULs": plain("bad.txt", b"abc\0def" * 100),
    "an empty file": plain("bad.txt", b""),
    "a PDF with no text": pdf_without_text,
    "a wrong jsonl field": plain("bad.jsonl", b'{"body_html": "x"}\n'),
}


def bad_files(quick: bool) -> Iterator[Claim]:  # noqa: ARG001 - a smoke run is as quick as the whole
    """Each case beside a good file, then a folder with nothing but bad ones."""
    for case, write in CASES.items():
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "in").mkdir()
            (folder / "in" / "good.txt").write_text(GOOD, encoding="utf-8")
            write(folder / "in")
            events, seconds = curate(folder)
        end = events[-1]
        told = [f"{e['where']}: {e['what']}" for e in events if e["event"] == "Unread"]
        kept = [e["report"]["kept"]["documents"] for e in events if e["event"] == "Curated"]
        in_time = seconds <= MOST_SECONDS and end["peak"] <= MOST_BYTES
        is_told = bool(told) and all("bad." in line and "\n" not in line for line in told) and len(told) <= 3
        line = told[0].rpartition("/")[2] if told else f"nothing told, {end['error']}"
        claim = f"bad files: {case} ({line})"[:76]
        yield Claim(
            claim, seconds, end["peak"] / 1e6, len(told), "<= 5 s, 500 MB, told", in_time and is_told and kept == [1]
        )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").mkdir()
        (folder / "in" / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
        (folder / "in" / "b.bin").write_bytes(os.urandom(1000) + b"\0")
        events, seconds = curate(folder)
    error = events[-1]["error"]
    holds = "nothing here can be read" in error and "\n" not in error and seconds <= MOST_SECONDS
    yield Claim("bad files: a folder with nothing readable", seconds, events[-1]["peak"] / 1e6, 1, "one line", holds)


def curate(folder: Path) -> tuple[list[dict], float]:
    """Curate the folder `in` in a process of its own; return its events and seconds."""
    began = time.perf_counter()
    command = [sys.executable, "-c", CURATE, str(folder / "in"), str(folder / "corpus")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()], time.perf_counter() - began
