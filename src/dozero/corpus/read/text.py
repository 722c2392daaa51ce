"""Plain text: one document, or documents of 100 kB cut at blank lines when the file is longer.

A long plain file is as a rule many texts in a row, and a document is what filters judge, what duplicates are compared by
and what is held out: 100 kB, some 60 printed pages, is small enough for that and leaves most single texts whole.
"""

from __future__ import annotations

from collections.abc import Iterator

from dozero.corpus.document import Document
from dozero.corpus.read.decode import decode_text
from dozero.corpus.read.limits import Unreadable
from dozero.corpus.read.origin import Origin
from dozero.corpus.read.streams import CHUNK, Stream
from dozero.errors import DataError

DOCUMENT_BYTES = 100_000


def iter_pieces(stream: Stream, longest_line: int) -> Iterator[tuple[int, bytes | None]]:
    """Yield (size, piece) of a text: pieces of at most `DOCUMENT_BYTES` that end at a blank line, else at a line's end.

    A line longer than that is a piece of its own; one longer than `longest_line` comes as None. The sizes add up to
    the size of the stream.
    """
    buffer = bytearray()
    while True:
        is_last = not _fill(stream, buffer, DOCUMENT_BYTES)
        if is_last:
            break
        cut = _find_cut(buffer)
        if cut:
            yield cut, bytes(buffer[:cut])
            del buffer[:cut]
        else:
            yield from _take_long_line(stream, buffer, longest_line)
    if buffer:
        yield len(buffer), bytes(buffer)


def read_text(stream: Stream, origin: Origin, first: int = 0) -> Iterator[Document | Unreadable]:
    """Yield the documents of a plain text; `first` is the number of the first one, 0 when the text begins here."""
    pieces = iter_pieces(stream, origin.limits.longest_line_bytes)
    begin = next(pieces, None)
    second = next(pieces, None)
    if begin is None:
        raise DataError("empty file")
    if second is None and not first:
        yield _read_piece(begin[1], 0, origin)
        return
    number = first or 1
    for piece in (begin, second):
        if piece is not None:
            yield _read_piece(piece[1], number, origin)
            number += 1
    for _, data in pieces:
        yield _read_piece(data, number, origin)
        number += 1


def _read_piece(data: bytes | None, number: int, origin: Origin) -> Document | Unreadable:
    where = f"{origin.name}#{number}" if number else origin.name
    if data is None:
        return Unreadable(where, f"a line longer than {origin.limits.longest_line_bytes / 1e6:g} MB")
    try:
        return origin.document(decode_text(data), number)
    except DataError as error:
        return Unreadable(where, error.what)


def _fill(stream: Stream, buffer: bytearray, size: int) -> bool:
    """Read until the buffer holds more than `size` bytes; False when the stream ends before."""
    while len(buffer) <= size:
        chunk = stream.read(CHUNK)
        if not chunk:
            return False
        buffer += chunk
    return True


def _find_cut(buffer: bytearray) -> int:
    """Return where the first piece of the buffer ends, or 0 when its first line is longer than a piece."""
    blank = max(
        buffer.rfind(b"\n\n", 0, DOCUMENT_BYTES) + 2,
        buffer.rfind(b"\n\r\n", 0, DOCUMENT_BYTES) + 3,
    )
    if blank > 3:
        return blank
    return buffer.rfind(b"\n", 0, DOCUMENT_BYTES) + 1 or buffer.rfind(b"\r", 0, DOCUMENT_BYTES) + 1


def _take_long_line(stream: Stream, buffer: bytearray, longest: int) -> Iterator[tuple[int, bytes | None]]:
    """Yield the line at the start of the buffer, which is longer than a piece, and take it out of the buffer."""
    passed = searched = 0
    while not (end := buffer.find(b"\n", searched) + 1):
        if len(buffer) > longest:
            passed += len(buffer)
            buffer.clear()
        searched = len(buffer)
        if not _fill(stream, buffer, searched):
            end = searched
            break
    is_short = not passed and end <= longest
    yield passed + end, bytes(buffer[:end]) if is_short else None
    del buffer[:end]
