"""Files of records, one or more lines each: jsonl and csv, streamed."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator

from dozero.corpus.document import Document
from dozero.corpus.read.decode import UTF8_BOM, decode_text
from dozero.corpus.read.limits import Unreadable
from dozero.corpus.read.origin import Origin, find_text_field, read_record
from dozero.corpus.read.sniff import DELIMITERS, split_header
from dozero.corpus.read.streams import Stream, iter_lines
from dozero.errors import DataError


def read_jsonl(stream: Stream, origin: Origin, first: int = 0) -> Iterator[Document | Unreadable]:
    """Yield a document for each line that holds a JSON object; `first` is the number of the first line.

    A document is numbered by its line, blank ones counted, so that an editor finds it.
    """
    for number, line in enumerate(iter_lines(stream, origin.limits.longest_line_bytes), first or 1):
        where = f"{origin.name}, line {number}"
        if line is None:
            yield Unreadable(where, f"longer than {origin.limits.longest_line_bytes / 1e6:g} MB")
        elif line and not line.isspace():
            yield _read_line(line, number, where, origin)


def _read_line(line: bytes, number: int, where: str, origin: Origin) -> Document | Unreadable:
    try:
        record = json.loads(decode_text(line) if number == 1 or not line.isascii() else line.decode())
    except json.JSONDecodeError as error:
        return Unreadable(where, f"not JSON ({error.msg})")
    except RecursionError:
        return Unreadable(where, "not JSON that can be read (nested too deep)")
    except ValueError:
        return Unreadable(where, "not JSON that can be read (a number too long)")
    except DataError as error:
        return Unreadable(where, error.what)
    if not isinstance(record, dict):
        return Unreadable(where, "not a JSON object with fields")
    return read_record(record, number, where, origin)


def read_csv(stream: Stream, origin: Origin) -> Iterator[Document | Unreadable]:
    """Yield a document for each row of a csv file with a header; commas, semicolons, tabs or bars between columns.

    A document is numbered by its row, the header not counted; faults are told by their line.
    """
    # A setting of the whole process, and 128 kB at first; the limit of a document is the right one here.
    csv.field_size_limit(origin.limits.largest_document_chars)
    lines = _csv_lines(stream, origin)
    header = next(lines, "")
    delimiter = _find_delimiter(header, origin.text_field)
    names = [name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])]
    column = names.index(find_text_field(names, origin.text_field))
    rows = csv.reader(lines, delimiter=delimiter)
    number = 0
    while True:
        number += 1
        where = f"{origin.name}, line {rows.line_num + 2}"
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield Unreadable(where, f"not csv ({error})")
            continue
        if len(row) > column:
            yield read_record(dict(zip(names, row, strict=False)), number, where, origin)
        elif row:
            yield Unreadable(where, f"fewer columns than the header has up to {names[column]!r}")


def _csv_lines(stream: Stream, origin: Origin) -> Iterator[str]:
    for number, line in enumerate(iter_lines(stream, origin.limits.longest_line_bytes), 1):
        if line is None:
            raise DataError(f"line {number} is longer than {origin.limits.longest_line_bytes / 1e6:g} MB")
        yield decode_text(line.removeprefix(UTF8_BOM) if number == 1 else line) + "\n"


def _find_delimiter(header: str, text_field: str) -> str:
    """Return the sign between columns: the one by which the text's column is found, else the most frequent."""
    for delimiter in DELIMITERS:
        try:
            find_text_field(split_header(header, delimiter), text_field)
        except DataError:
            continue
        return delimiter
    return max(DELIMITERS, key=header.count)
