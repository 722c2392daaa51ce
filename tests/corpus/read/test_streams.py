"""Streams give the bytes that were packed, in whatever portions they are asked for, and end a bomb early."""

import bz2
import gzip
import io
import lzma
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozero.corpus.read.limits import Budget, Limits
from dozero.corpus.read.streams import (
    Counted,
    Prefixed,
    Range,
    Transcoded,
    Unpacked,
    iter_lines,
    load,
    make_seekable,
    open_regular,
    take_head,
    unpack,
)
from dozero.errors import DataError

PACKERS = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress}


def pack_zstd(data):
    import pyarrow as pa

    return pa.compress(data, codec="zstd", asbytes=True)


def read_in(stream, sizes):
    data = b"".join(stream.read(size) for size in sizes)
    return data + load(stream, 10**9)


@pytest.mark.parametrize("kind", [*PACKERS, "zstd"])
@given(data=st.binary(max_size=5000), sizes=st.lists(st.integers(1, 700), max_size=5))
def test_what_was_packed_comes_out(kind, data, sizes):
    packed = PACKERS.get(kind, pack_zstd)(data)
    stream = unpack(kind, io.BytesIO(packed), Limits(), Budget(10**9))
    assert read_in(stream, sizes) == data


@given(st.binary(max_size=300), st.integers(0, 300), st.lists(st.integers(1, 50), max_size=5))
def test_taking_the_head_loses_nothing(data, size, sizes):
    head, whole = take_head(Counted(io.BytesIO(data)), size)
    assert head == data[:size]
    assert read_in(whole, sizes) == data
    assert Prefixed(b"ab", io.BytesIO(b"cd")).read() == b"abcd"


@given(st.binary(max_size=100), st.integers(0, 100), st.integers(0, 100))
def test_a_range_is_a_slice(data, start, end):
    assert (
        load(Range(io.BytesIO(data), min(start, end), max(start, end)), 1000) == data[min(start, end) : max(start, end)]
    )


@given(st.lists(st.binary(max_size=20).filter(lambda b: b"\n" not in b)), st.integers(1, 15))
def test_lines_are_those_of_split_and_long_ones_are_none(lines, longest):
    data = b"\n".join(lines)
    expected = data.split(b"\n")
    expected = expected[:-1] if not expected[-1] else expected
    assert list(iter_lines(io.BytesIO(data), longest)) == [line if len(line) <= longest else None for line in expected]


def test_a_bomb_ends_at_its_allowance():
    packed = gzip.compress(bytes(50_000_000), 9)
    limits = Limits(free_bytes=1_000_000, ratio=20)
    stream = unpack("gzip", io.BytesIO(packed), limits, Budget(10**9))
    with pytest.raises(DataError, match="more than 20 times its size"):
        load(stream, 10**9)
    with pytest.raises(DataError, match="far beyond its size"):
        load(unpack("gzip", io.BytesIO(packed), Limits(), Budget(2_000_000)), 10**9)
    with pytest.raises(DataError, match="in memory"):
        load(io.BytesIO(bytes(2000)), 1000)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_other_encodings_become_utf8(text):
    assert load(Transcoded(io.BytesIO(text.encode("utf-16")), "utf-16"), 10**6) == text.encode()


def test_only_files_are_opened(tmp_path):
    (tmp_path / "a").write_bytes(b"oi")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    os.mkfifo(tmp_path / "pipe")
    with open_regular(str(tmp_path / "a")) as file:
        assert make_seekable(file, Limits()) is file
        assert file.read() == b"oi"
    for name in ("link", "pipe"):
        with pytest.raises(DataError):
            open_regular(str(tmp_path / name))
    assert make_seekable(Counted(io.BytesIO(b"oi")), Limits()).read() == b"oi"
    assert Unpacked(io.BytesIO(b"oi"), lambda: 1, Limits(), Budget(10)).read(1) == b"o"
