"""Units out of a source: small files in groups, big ones in parts, in an order that follows from the files alone."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from dozero.corpus.catalog import find_entry
from dozero.corpus.download import fetch, is_url
from dozero.corpus.read.decode import find_bom
from dozero.corpus.read.files import find_files
from dozero.corpus.read.hub import HUB, count_shards, dataset_files
from dozero.corpus.read.limits import Limits
from dozero.corpus.read.sniff import HEAD_BYTES, sniff
from dozero.corpus.read.streams import CHUNK, open_regular
from dozero.corpus.read.tables import open_table
from dozero.corpus.read.text import iter_pieces
from dozero.corpus.read.unit import Span, Unit
from dozero.durable import sha256_of
from dozero.errors import DataError
from dozero.settings import SourceConfig

UNIT_BYTES = 16_000_000
# A file costs a little to open and close, however small it is.
FILE_BYTES = 4096
FILES_TOLD = 5


def list_units(source: SourceConfig, bytes_per_unit: int = UNIT_BYTES) -> list[Unit]:
    """Return what workers read, one unit each, of about `bytes_per_unit`; URLs are downloaded first.

    A source that does not exist, or in which no file is of a kind that is read, is a DataError.
    """
    source = resolve(source)
    collection = source.name or source.path
    if source.path.startswith(HUB):
        shards = count_shards(source.path)
        parts = [[Span(source.path, source.path, i, shards)] for i in range(shards)]
    else:
        spans = find_spans(source)
        _check_readable(source, spans)
        parts = _group(_split_all(spans, source.text_field, bytes_per_unit), bytes_per_unit)
    return [Unit(tuple(part), source.licence, collection, source.text_field) for part in parts]


def fingerprint(source: SourceConfig) -> dict[str, str]:
    """Return the SHA-256 of each file of a source, by its name without the path of the source; links and the like are left out."""
    source = resolve(source)
    if source.path.startswith(HUB):
        return dataset_files(source.path)
    spans = [span for span in find_spans(source) if not span.fault]
    return {_relative(span.name, source.path): sha256_of(Path(span.path)) for span in spans}


def resolve(source: SourceConfig) -> SourceConfig:
    """Return the source with a name of the catalog replaced by what it stands for; a file of that name comes first."""
    entry = None if os.path.lexists(source.path) else find_entry(source.path)
    if entry is None:
        return source
    field = entry.text_field if source.text_field == "text" else source.text_field
    return source.model_copy(
        update={
            "path": entry.address,
            "name": source.name or entry.name,
            "licence": source.licence or entry.licence,
            "text_field": field,
        }
    )


def find_spans(source: SourceConfig) -> list[Span]:
    """Return the files of a source on disk, whole; a URL is downloaded unless it was before."""
    if not is_url(source.path):
        return find_files(source.path)
    entry = find_entry(source.path)
    return [Span(str(fetch(source.path, sha256=entry.sha256 if entry else "")), source.path)]


def _relative(name: str, path: str) -> str:
    folder = path.rstrip("/") + "/"
    return name.removeprefix(folder) if name.startswith(folder) else name


def _check_readable(source: SourceConfig, spans: list[Span]) -> None:
    """Raise DataError unless one file at least is of a kind that is read, telling what was there."""
    found = []
    for span in spans:
        fault = _fault_of(span, source.text_field)
        if not fault:
            return
        found.append(f"{_relative(span.name, source.path)}: {fault}")
    told = "; ".join(found[:FILES_TOLD]) + (f"; and {len(found) - FILES_TOLD} more" if len(found) > FILES_TOLD else "")
    raise DataError(
        "nothing here can be read",
        where=source.path,
        expected="txt, md, html, csv, jsonl, json, parquet, pdf, docx, odt, epub, zip or tar, packed or not",
        got=told,
    )


def _fault_of(span: Span, text_field: str) -> str:
    try:
        _sniff(span, text_field)
    except DataError as error:
        return error.what
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _sniff(span: Span, text_field: str) -> tuple[str, bytes]:
    """Return the kind of a file and its first bytes."""
    if span.fault:
        raise DataError(span.fault)
    with open_regular(span.path) as file:
        head = file.read(HEAD_BYTES)
    return sniff(head, span.name, text_field), head


def _split_all(spans: Iterable[Span], text_field: str, bytes_per_unit: int) -> Iterator[tuple[Span, int]]:
    """Yield each span and its size, big files of lines or rows in parts."""
    for span in spans:
        size = 0 if span.fault else os.stat(span.path).st_size
        if size <= bytes_per_unit:
            yield span, size
            continue
        try:
            yield from _split(span, size, text_field, bytes_per_unit)
        except (DataError, OSError):  # whoever reads it tells why
            yield span, size


def _split(span: Span, size: int, text_field: str, bytes_per_unit: int) -> Iterator[tuple[Span, int]]:
    kind, head = _sniff(span, text_field)
    if kind == "parquet":
        cuts = _cut_table(span, bytes_per_unit)
    elif kind == "jsonl" and find_bom(head) in ("", "utf-8-sig"):
        cuts = _cut_lines(span, bytes_per_unit)
    elif kind == "txt" and find_bom(head) in ("", "utf-8-sig"):
        cuts = _cut_text(span, bytes_per_unit)
    else:
        yield span, size
        return
    for start, end, first, weight in cuts:
        yield replace(span, start=start, end=end, first=first), weight


def _cut_lines(span: Span, bytes_per_unit: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield (start, end, number of its first line, bytes) of parts that end with a line."""
    start, first = 0, 1
    position, lines = 0, 0  # of the chunk: where it begins, and how many lines end before
    with open_regular(span.path) as file:
        while chunk := file.read(CHUNK):
            at = 0
            while cut := chunk.find(b"\n", max(at, start + bytes_per_unit - 1 - position)) + 1:
                lines += chunk.count(b"\n", at, cut)
                yield start, position + cut, first, position + cut - start
                start, first, at = position + cut, lines + 1, cut
            lines += chunk.count(b"\n", at)
            position += len(chunk)
    if position > start:
        yield start, position, first, position - start


def _cut_text(span: Span, bytes_per_unit: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield (start, end, number of its first document, bytes) of parts that end with a document."""
    start, first = 0, 1
    position, number = 0, 0
    with open_regular(span.path) as file:
        for size, _ in iter_pieces(file, Limits().longest_line_bytes):
            position += size
            number += 1
            if position - start >= bytes_per_unit:
                yield start, position, first, position - start
                start, first = position, number + 1
    if position > start:
        yield start, position, first, position - start


def _cut_table(span: Span, bytes_per_unit: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield (first row group, one past the last, number of its first row, bytes) of parts of a Parquet file."""
    start, first = 0, 1
    rows = weight = 0
    with open_regular(span.path) as file:
        metadata = open_table(file).metadata
        for group in range(metadata.num_row_groups):
            rows += metadata.row_group(group).num_rows
            weight += metadata.row_group(group).total_byte_size
            if weight >= bytes_per_unit or group == metadata.num_row_groups - 1:
                yield start, group + 1, first, weight
                start, first, weight = group + 1, rows + 1, 0


def _group(parts: Iterable[tuple[Span, int]], bytes_per_unit: int) -> list[list[Span]]:
    """Return the spans in groups of at most `bytes_per_unit`, in order; what is larger stands alone."""
    groups: list[list[Span]] = []
    room = 0
    for span, size in parts:
        weight = size + FILE_BYTES
        if not groups or weight > room:
            groups.append([])
            room = bytes_per_unit
        groups[-1].append(span)
        room -= weight
    return groups
