"""Long plain text is cut at blank lines, losing nothing."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dozero.corpus.document import Document
from dozero.corpus.read import text as module
from dozero.corpus.read.limits import Budget, Limits, Unreadable
from dozero.corpus.read.origin import Origin
from dozero.corpus.read.text import iter_pieces, read_text
from dozero.errors import DataError


def origin():
    return Origin("a.txt", "MIT", "", "text", Limits(longest_line_bytes=50), Budget(10**9))


@settings(max_examples=200)
@given(st.lists(st.sampled_from([b"um dois\n", b"\n", b"abc", b"x" * 30, b"y" * 70 + b"\n"]), max_size=40))
def test_pieces_are_the_text_in_order(parts):
    data = b"".join(parts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "DOCUMENT_BYTES", 40)
        patch.setattr(module, "CHUNK", 16)
        pieces = list(iter_pieces(io.BytesIO(data), 50))
    assert sum(size for size, _ in pieces) == len(data)
    at = 0
    for size, piece in pieces:
        assert piece is None or piece == data[at : at + size]
        assert piece is not None or size > 50
        at += size


def test_a_short_text_is_one_document_without_a_number():
    assert [d.source for d in read_text(io.BytesIO(b"oi"), origin())] == ["a.txt"]
    with pytest.raises(DataError, match="empty"):
        list(read_text(io.BytesIO(b""), origin()))


def test_a_long_text_is_cut_at_blank_lines(monkeypatch):
    monkeypatch.setattr(module, "DOCUMENT_BYTES", 30)
    data = b"\n\n".join(b"paragrafo %d" % n for n in range(10)) + b"\n\n" + b"z" * 80
    items = list(read_text(io.BytesIO(data), origin()))
    documents = [i for i in items if isinstance(i, Document)]
    assert [d.source for d in documents] == [f"a.txt#{n}" for n in range(1, len(documents) + 1)]
    assert all(d.text.startswith("paragrafo") for d in documents)
    assert isinstance(items[-1], Unreadable)
