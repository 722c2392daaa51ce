"""jsonl and csv, record by record, against the readers of the standard library."""

import csv
import io
import json

from hypothesis import given
from hypothesis import strategies as st

from dozero.corpus.document import Document
from dozero.corpus.read.limits import Budget, Limits, Unreadable
from dozero.corpus.read.lines import read_csv, read_jsonl
from dozero.corpus.read.origin import Origin

TEXTS = st.lists(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r")).filter(str.strip),
    min_size=1,
    max_size=8,
)


def origin(**limits):
    return Origin("a", "MIT", "", "text", Limits(**limits), Budget(10**9))


@given(TEXTS, st.booleans())
def test_jsonl_gives_the_texts_back(texts, ascii_only):
    data = "".join(json.dumps({"text": t}, ensure_ascii=ascii_only) + "\n" for t in texts).encode()
    assert [d.text for d in read_jsonl(io.BytesIO(data), origin()) if isinstance(d, Document)] == texts


@given(TEXTS, st.sampled_from(",;\t|"))
def test_csv_gives_the_texts_back(texts, delimiter):
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=delimiter, lineterminator="\n")
    writer.writerows([("id", "text"), *enumerate(texts)])
    assert [d.text for d in read_csv(io.BytesIO(buffer.getvalue().encode()), origin())] == texts


def test_records_are_numbered_by_line_and_row():
    data = b'{"text": "a"}\n\n{"text": "b"}\n[1]\n{"text": "c"'
    items = list(read_jsonl(io.BytesIO(data), origin()))
    assert [i.source for i in items if isinstance(i, Document)] == ["a#1", "a#3"]
    assert [i.where for i in items if isinstance(i, Unreadable)] == ["a, line 4", "a, line 5"]
    rows = list(read_csv(io.BytesIO(b"text,id\na,1\n\nb,2\n"), origin()))
    assert [d.text for d in rows] == ["a", "b"]


def test_hostile_json_is_a_fault_of_its_line():
    data = b"[" * 100_000 + b"\n" + b'{"text": ' + b"9" * 10_000 + b"}\n" + b'{"text": "ok"}\n'
    items = list(read_jsonl(io.BytesIO(data), origin()))
    assert [type(i) for i in items] == [Unreadable, Unreadable, Document]


def test_a_short_row_is_told():
    items = list(read_csv(io.BytesIO(b"id,text\n1\n2,oi\n"), origin()))
    assert isinstance(items[0], Unreadable)
    assert "fewer columns" in items[0].what
