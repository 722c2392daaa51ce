"""A JSON file that is one value: an array of objects, streamed, or one object."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any

from dozero.corpus.document import Document
from dozero.corpus.read.decode import decode_text, mend
from dozero.corpus.read.limits import Unreadable
from dozero.corpus.read.origin import Origin, read_record
from dozero.corpus.read.streams import CHUNK, Prefixed, Stream, load
from dozero.errors import DataError

BETWEEN = re.compile(r"[\s,]*")


def read_json(stream: Stream, origin: Origin) -> Iterator[Document | Unreadable]:
    """Yield a document for each object of a JSON array, or the one of a JSON object."""
    head = stream.read(CHUNK)
    start = head.lstrip(codecs.BOM_UTF8 + b" \t\r\n")
    stream = Prefixed(head, stream)
    if not start.startswith(b"["):
        text = decode_text(load(stream, origin.limits.longest_line_bytes))
        yield _read_value(_parse(text), 0, origin)
        return
    for number, value in enumerate(iter_array(stream, origin.limits.largest_document_chars), 1):
        yield _read_value(value, number, origin)


def iter_array(stream: Stream, longest: int) -> Iterator[Any]:
    """Yield the elements of a JSON array one by one; DataError where it breaks off or is no JSON.

    The buffer grows while the element at its start is not whole, up to `longest` characters.
    """
    bytes_to_text = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")
    decoder = json.JSONDecoder()
    buffer, position, is_last, count = "", 0, False, 0
    is_inside = False
    while True:
        position = BETWEEN.match(buffer, position).end()  # pyright: ignore[reportOptionalMemberAccess] - matches always
        if not is_inside and buffer[position : position + 1] == "[":
            position, is_inside = position + 1, True
            continue
        if is_inside and buffer[position : position + 1] == "]":
            return
        try:
            value, end = decoder.raw_decode(buffer, position)
        except (ValueError, RecursionError) as error:
            if is_last or len(buffer) - position > longest:
                raise DataError(f"not JSON from element {count + 1} on ({_cause(error)})") from None
            chunk = stream.read(CHUNK)
            is_last = not chunk
            buffer = buffer[position:] + mend(bytes_to_text.decode(chunk, final=is_last))
            position = 0
            continue
        count += 1
        yield value
        position = end


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"not JSON ({_cause(error)})") from None


def _cause(error: ValueError | RecursionError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return error.msg
    return "nested too deep" if isinstance(error, RecursionError) else "a number too long"


def _read_value(value: object, number: int, origin: Origin) -> Document | Unreadable:
    where = f"{origin.name}#{number}" if number else origin.name
    if not isinstance(value, dict):
        return Unreadable(where, "not a JSON object with fields")
    return read_record(value, number, where, origin)
