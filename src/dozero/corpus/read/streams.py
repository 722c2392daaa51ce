"""Streams of bytes that are read from front to back, whatever they are packed in, and never held whole.

A stream is anything with `read(size)`. What unpacks is counted, so that a bomb ends early (`Limits.ratio`).
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import os
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from dozero.corpus.read.limits import Budget, Limits
from dozero.errors import DataError

File = io.BytesIO | io.BufferedReader
"""Bytes that can be read from any place: in memory, or on disk."""
CHUNK = 1 << 20
PACKED_CHUNK = 1 << 16
# What the standard library and Arrow raise on packed data that is damaged, cut off or made to harm.
BROKEN = (EOFError, OSError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError)


@runtime_checkable
class Stream(Protocol):
    """Bytes from front to back."""

    def read(self, size: int = -1, /) -> bytes:
        """Return at most `size` further bytes; none at the end."""
        ...


class Prefixed:
    """A stream whose first bytes were already taken, to look at them, and are given again."""

    def __init__(self, head: bytes, rest: Stream) -> None:
        self._head, self._rest = head, rest

    def read(self, size: int = -1, /) -> bytes:
        """Return the bytes taken before, then those of the stream."""
        if not self._head:
            return self._rest.read(size)
        taken = self._head if size < 0 else self._head[:size]
        self._head = self._head[len(taken) :]
        return taken + self._rest.read(-1) if size < 0 else taken


class Range:
    """The bytes of a file from one position to another."""

    def __init__(self, file: File, start: int, end: int) -> None:
        file.seek(start)
        self._file, self._left = file, end - start

    def read(self, size: int = -1, /) -> bytes:
        """Return further bytes of the range."""
        data = self._file.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(data)
        return data


class Counted:
    """A stream that knows how many bytes were taken from it."""

    def __init__(self, stream: Stream) -> None:
        self._stream, self.taken, self.closed = stream, 0, False

    def read(self, size: int = -1, /) -> bytes:
        """Return further bytes; a decompressor gets small pieces, so that `taken` is near what it has used."""
        data = self._stream.read(PACKED_CHUNK if size < 0 else min(size, PACKED_CHUNK))
        self.taken += len(data)
        return data

    def close(self) -> None:
        """Do nothing: whoever opened the stream closes it. Arrow asks for the method."""


class Unpacked:
    """What a decompressor gives, in pieces of a megabyte at most, each counted before it is handed on."""

    def __init__(self, stream: Stream, packed_bytes: Callable[[], int], limits: Limits, budget: Budget) -> None:
        self._stream, self._packed_bytes, self._limits, self._budget = stream, packed_bytes, limits, budget
        self._given = 0

    def read(self, size: int = -1, /) -> bytes:
        """Return further bytes, at most a megabyte; DataError when they are too many for what they came from."""
        data = self._stream.read(CHUNK if size < 0 else min(size, CHUNK))
        self._given += len(data)
        self._budget.spend(len(data))
        if self._given > self._limits.free_bytes + self._limits.ratio * self._packed_bytes():
            raise DataError(f"unpacks to more than {self._limits.ratio} times its size")
        return data


class Transcoded:
    """A stream of text in another encoding, as UTF-8."""

    def __init__(self, stream: Stream, encoding: str) -> None:
        self._stream, self._encoding = stream, encoding
        self._decoder = codecs.getincrementaldecoder(encoding)("strict")

    def read(self, size: int = -1, /) -> bytes:
        """Return further text, about `size` bytes of the original; DataError where it breaks its encoding."""
        while True:
            data = self._stream.read(size)
            try:
                text = self._decoder.decode(data, final=not data)
            except UnicodeDecodeError:
                raise DataError(f"begins as {self._encoding} but is not") from None
            if text or not data:
                return text.encode()


def _unpack_zstd(stream: Counted) -> Stream:
    import pyarrow as pa

    packed: Any = stream  # Arrow asks for read, close and closed only
    return pa.CompressedInputStream(pa.PythonFile(packed, mode="r"), "zstd")


def _unpack_gzip(stream: Counted) -> Stream:
    packed: Any = stream  # gzip, bz2 and lzma ask for read only, until somebody seeks
    return gzip.GzipFile(fileobj=packed)


def _unpack_bzip2(stream: Counted) -> Stream:
    packed: Any = stream
    return bz2.BZ2File(packed)


def _unpack_xz(stream: Counted) -> Stream:
    packed: Any = stream
    return lzma.LZMAFile(packed)


UNPACKERS: dict[str, Callable[[Counted], Stream]] = {
    "gzip": _unpack_gzip,
    "bzip2": _unpack_bzip2,
    "xz": _unpack_xz,
    "zstd": _unpack_zstd,
}


def unpack(kind: str, stream: Stream, limits: Limits, budget: Budget) -> Stream:
    """Return the unpacked content of a gzip, bzip2, xz or zstd stream."""
    counted = Counted(stream)
    return Unpacked(UNPACKERS[kind](counted), lambda: counted.taken, limits, budget)


def open_regular(path: str) -> File:
    """Open a file to read, and nothing but a file: neither a link nor a pipe or device, which could hang or never end."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    if Path(path).is_symlink():
        raise DataError("a link, not followed")
    file = os.fdopen(os.open(path, flags), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise DataError("neither a file nor a folder (a pipe, socket or device)")
    return file


def load(stream: Stream, largest: int) -> bytes:
    """Return all that is left of a stream; DataError when that is more than `largest` bytes."""
    data = bytearray()
    while chunk := stream.read(CHUNK):
        data += chunk
        if len(data) > largest:
            raise DataError(f"larger than {largest / 1e6:,.0f} MB, which it would take in memory")
    return bytes(data)


def take_head(stream: Stream, size: int) -> tuple[bytes, Stream]:
    """Return the first `size` bytes of a stream, and a stream that still begins with them."""
    head = b""
    while len(head) < size and (piece := stream.read(size - len(head))):
        head += piece
    if type(stream) is io.BufferedReader:  # a file on disk; what tarfile gives is a subclass that cannot seek
        stream.seek(0)
        return head, stream
    return head, Prefixed(head, stream)


def make_seekable(stream: Stream, limits: Limits) -> File:
    """Return the stream itself when it is a file on disk, else its content in memory."""
    if type(stream) is io.BufferedReader:
        return stream
    return io.BytesIO(load(stream, limits.largest_in_memory_bytes))


def iter_lines(stream: Stream, longest: int) -> Iterator[bytes | None]:
    """Yield the lines of a stream without their ends, and None for each that is longer than `longest` bytes."""
    rest = b""
    is_skipping = False
    while chunk := stream.read(CHUNK):
        lines = (rest + chunk).split(b"\n")
        rest = lines.pop()
        if is_skipping and lines:
            is_skipping = False
            yield None
            del lines[0]
        yield from (line if len(line) <= longest else None for line in lines)
        if is_skipping or len(rest) > longest:
            rest, is_skipping = b"", True
    if is_skipping:
        yield None
    elif rest:
        yield rest
