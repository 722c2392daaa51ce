"""What a file is, by its first bytes. A name only decides among kinds of plain text that look alike."""

from __future__ import annotations

import json
import re

from dozero.corpus.read.decode import find_bom
from dozero.corpus.read.origin import DEFAULT_FIELD, find_text_field
from dozero.errors import DataError

HEAD_BYTES = 1 << 16
MAGIC = (
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"PAR1", "parquet"),
)
# Told by name when met, so that the user knows what it was.
FOREIGN = (
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90", "a program"),
    (b"\xd0\xcf\x11\xe0", "an old Office file (save it as docx)"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"SQLite format 3", "a SQLite database"),
    (b"ARROW1", "an Arrow file (save it as parquet)"),
    (b"{\\rtf", "RTF (save it as docx or odt)"),
    (b"PK", "a damaged zip"),
)
PACKED_ENDS = (".gz", ".zst", ".zstd", ".bz2", ".xz")
TEXT_KINDS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
}
PLAIN_ENDS = (".txt", ".md", ".markdown", ".text", ".rst", ".tex", ".py", ".adoc", ".org")
DELIMITERS = (",", ";", "\t", "|")
# Possessive (*+) and atomic (?>), because a file of comments that never end must not be tried in every division.
HTML_START = re.compile(r"\s*+(?:<\?xml[^>]*+>\s*+)?+(?:(?><!--.*?-->)\s*+)*+(?:<!doctype\s+html|<html\b)", re.I | re.S)
XML_START = re.compile(r"\s*<\?xml\s")
JSON_START = re.compile(r'\s*\{\s*"(?:[^"\\]|\\.)*"\s*:')
ARRAY_START = re.compile(r'\s*\[\s*\{\s*"(?:[^"\\]|\\.)*"\s*:')
# Control characters that no text has: all but tab, line ends, form feed, backspace and escape.
CONTROLS = bytes(byte for byte in range(32) if byte not in b"\t\n\v\f\r\b\x1b")


def sniff(head: bytes, name: str, text_field: str = DEFAULT_FIELD) -> str:
    """Return the kind of a file: a packing, pdf, parquet, html, csv, jsonl, json or txt; DataError when it has no text.

    >>> sniff(b"<!DOCTYPE html><p>Oi", "notes.txt")
    'html'
    """
    if not head:
        raise DataError("empty file")
    for magic, kind in MAGIC:
        if head.startswith(magic):
            return kind
    if b"%PDF-" in head[:1024]:
        return "pdf"
    if _is_tar(head):
        return "tar"
    for magic, what in FOREIGN:
        if head.startswith(magic):
            raise DataError(f"{what}, which is not read")
    if find_bom(head):
        return _sniff_text(head.decode(find_bom(head), errors="ignore"), name, text_field)
    if b"\0" in head:
        raise DataError("binary, not text (it holds NUL bytes)")
    if len(head) - len(head.translate(None, CONTROLS)) > len(head) // 50:
        raise DataError("binary, not text (it is full of control characters)")
    return _sniff_text(head.decode(errors="replace"), name, text_field)


def inner_name(name: str) -> str:
    """Return the name of what a packed file holds.

    >>> inner_name("a.jsonl.gz"), inner_name("b.tgz")
    ('a.jsonl', 'b.tar')
    """
    lower = name.lower()
    if lower.endswith((".tgz", ".tbz2", ".txz")):
        return name[: lower.rindex(".")] + ".tar"
    return next((name[: -len(end)] for end in PACKED_ENDS if lower.endswith(end)), name)


def _sniff_text(text: str, name: str, text_field: str) -> str:
    ending = "." + name.rpartition(".")[2].lower()
    by_name = TEXT_KINDS.get(ending, "")
    if HTML_START.match(text):
        return "html"
    if by_name in ("csv", "html"):
        return by_name
    if JSON_START.match(text):
        return _sniff_json(text, by_name)
    if ARRAY_START.match(text) or (by_name == "json" and text.lstrip().startswith("[")):
        return "json" if by_name != "jsonl" else "jsonl"
    if XML_START.match(text):
        return "html"
    if by_name:
        return by_name
    return "txt" if ending in PLAIN_ENDS or not _looks_like_csv(text, text_field) else "csv"


def _sniff_json(text: str, by_name: str) -> str:
    """Return jsonl when the first line is a whole object or too long to see, json when an object spans lines."""
    line, end, _ = text.lstrip().partition("\n")
    try:
        return "jsonl" if not end or isinstance(json.loads(line), dict) else "json"
    except (ValueError, RecursionError):
        return by_name or "json"


def _looks_like_csv(text: str, text_field: str) -> bool:
    """Return whether the first line is a header with the text's column, and the next lines have as many columns."""
    header, *rows = text.splitlines()[:5] or [""]
    for delimiter in DELIMITERS:
        names = split_header(header, delimiter)
        if len(names) < 2 or not all(row.count(delimiter) >= len(names) - 1 for row in rows[:3]):
            continue
        try:
            find_text_field(names, text_field)
        except DataError:
            continue
        return bool(rows)
    return False


def split_header(line: str, delimiter: str) -> list[str]:
    """Return the column names of the first line of a csv file."""
    return [name.strip().strip('"').strip() for name in line.split(delimiter)]


def _is_tar(head: bytes) -> bool:
    """Return whether the first block is a tar header: its checksum is right."""
    block = head[:512]
    if len(block) < 512 or not block[0]:
        return False
    try:
        told = int(block[148:156].strip(b" \0") or b"x", 8)
    except ValueError:
        return False
    return told == sum(block[:148]) + 8 * 32 + sum(block[156:])
