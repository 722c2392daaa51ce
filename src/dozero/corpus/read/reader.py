"""Documents out of a unit, whatever its files are: sniffed, unpacked and read as they stream."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial

from dozero.corpus.document import Document
from dozero.corpus.read.archive import Member, find_kind, iter_tar, iter_zip, open_zip, open_zip_member
from dozero.corpus.read.decode import find_bom
from dozero.corpus.read.html import html_text, page_text
from dozero.corpus.read.hub import HUB, read_shard
from dozero.corpus.read.json_file import read_json
from dozero.corpus.read.limits import Limits, Unreadable, make_budget
from dozero.corpus.read.lines import read_csv, read_jsonl
from dozero.corpus.read.office import OFFICE, find_chapters, office_text
from dozero.corpus.read.origin import Origin, tell_few_faults
from dozero.corpus.read.pdf import pdf_text
from dozero.corpus.read.sniff import HEAD_BYTES, inner_name, sniff
from dozero.corpus.read.streams import (
    BROKEN,
    UNPACKERS,
    File,
    Range,
    Stream,
    Transcoded,
    load,
    make_seekable,
    open_regular,
    take_head,
    unpack,
)
from dozero.corpus.read.tables import read_parquet
from dozero.corpus.read.text import read_text
from dozero.corpus.read.unit import Span, Unit
from dozero.errors import DataError

Items = Iterator[Document | Unreadable]

LINE_READERS: dict[str, Callable[[Stream, Origin], Items]] = {
    "txt": read_text,
    "jsonl": read_jsonl,
    "json": read_json,
    "csv": read_csv,
}
WIDE = ("utf-16", "utf-32")


def read_unit(unit: Unit, limits: Limits | None = None) -> Items:
    """Yield the documents of a unit as they stream, and an Unreadable for each file, member or record that gives none."""
    limits = limits or Limits()
    for span in unit.spans:
        origin = Origin(
            span.name, unit.licence, unit.collection, unit.text_field, limits, make_budget(_size_of(span), limits)
        )
        yield from tell_few_faults(_catch(_read_span(span, origin), origin.name), origin.name)


def _size_of(span: Span) -> int:
    try:
        return os.stat(span.path).st_size
    except OSError:
        return 0


def _read_span(span: Span, origin: Origin) -> Items:
    if span.fault:
        raise DataError(span.fault)
    if span.path.startswith(HUB):
        yield from read_shard(span.path, span.start, span.end, origin)
        return
    with open_regular(span.path) as file:
        if not span.end:
            yield from read_stream(file, span.name, origin)
            return
        kind = sniff(file.read(HEAD_BYTES), span.name, origin.text_field)
        if kind == "parquet":
            yield from read_parquet(file, origin, range(span.start, span.end), span.first)
            return
        reader = read_jsonl if kind == "jsonl" else read_text
        yield from reader(Range(file, span.start, span.end), origin, span.first)


def _catch(items: Items, name: str) -> Items:
    """Yield the items; where they end in an error about the data, that as an Unreadable."""
    try:
        yield from items
    except PermissionError:
        yield Unreadable(name, "no permission to read it")
    except DataError as error:
        yield Unreadable(name, error.what)
    except BROKEN as error:
        yield Unreadable(name, f"damaged or cut off ({str(error)[:100]})")


def read_stream(stream: Stream, name: str, origin: Origin) -> Items:
    """Yield the documents of a file or member; `name` tells kinds of plain text apart."""
    head, whole = take_head(stream, HEAD_BYTES)
    kind = sniff(head, name, origin.text_field)
    encoding = find_bom(head)
    if kind in UNPACKERS:
        inside = origin.inside("")
        yield from read_stream(unpack(kind, whole, origin.limits, origin.budget), inner_name(name), inside)
    elif kind in LINE_READERS:
        yield from LINE_READERS[kind](Transcoded(whole, encoding) if encoding in WIDE else whole, origin)
    elif kind == "html":
        yield _read_page(whole, head, origin)
    elif kind == "tar":
        for member in iter_tar(whole, origin):
            yield from _read_member(member)
    else:
        yield from _read_seekable(kind, make_seekable(whole, origin.limits), origin)


def _read_seekable(kind: str, file: File, origin: Origin) -> Items:
    """Yield the documents of a file that cannot be read from front to back."""
    if kind == "parquet":
        yield from read_parquet(file, origin)
    elif kind == "pdf":
        yield origin.document(pdf_text(file, origin.limits))
    else:
        yield from _read_zip(file, origin)


def _read_zip(file: File, origin: Origin) -> Items:
    archive = open_zip(file, origin)
    kind = find_kind(archive)
    if kind in OFFICE:
        stream = open_zip_member(archive, OFFICE[kind].part, origin)
        yield origin.document(office_text(stream, kind, origin.limits))
    elif kind == "epub":
        for chapter in find_chapters(lambda name: open_zip_member(archive, name, origin)):
            inside = origin.inside(chapter)
            opened = partial(open_zip_member, archive, chapter, inside)
            yield from _catch(_read_chapter(opened, inside), inside.name)
    else:
        for member in iter_zip(archive, origin):
            yield from _read_member(member)


def _read_chapter(open_chapter: Callable[[], Stream], origin: Origin) -> Items:
    yield origin.document(page_text(load(open_chapter(), origin.limits.largest_document_chars)))


def _read_member(member: Member | Unreadable) -> Items:
    if isinstance(member, Unreadable):
        yield member
    else:
        yield from _catch(read_stream(member.stream, member.origin.name, member.origin), member.origin.name)


def _read_page(stream: Stream, head: bytes, origin: Origin) -> Document | Unreadable:
    page = load(stream, origin.limits.largest_document_chars)
    is_html = b"<html" in head.lower() or b"<!doctype html" in head.lower()
    return origin.document(html_text(page) if is_html else page_text(page))
