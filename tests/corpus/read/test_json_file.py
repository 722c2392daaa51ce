"""An array of objects is streamed, and gives what json.load gives."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozero.corpus.document import Document
from dozero.corpus.read.json_file import iter_array, read_json
from dozero.corpus.read.limits import Budget, Limits, Unreadable
from dozero.corpus.read.origin import Origin
from dozero.errors import DataError

VALUES = st.recursive(st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])), lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=3), v, max_size=3), max_leaves=6)  # fmt: skip


@given(st.lists(VALUES, max_size=6), st.sampled_from([None, 2]))
def test_elements_are_those_of_the_standard_library(values, indent):
    data = json.dumps(values, indent=indent, ensure_ascii=False).encode()
    assert list(iter_array(io.BytesIO(data), 10**6)) == values


def origin():
    return Origin("a.json", "MIT", "", "text", Limits(), Budget(10**9))


def test_objects_become_documents_and_others_are_told():
    data = json.dumps([{"text": "um"}, 3, {"texto": "dois"}]).encode()
    items = list(read_json(io.BytesIO(data), origin()))
    assert [i.text for i in items if isinstance(i, Document)] == ["um", "dois"]
    assert [i.where for i in items if isinstance(i, Unreadable)] == ["a.json#2"]
    assert [i.text for i in read_json(io.BytesIO(b'\xef\xbb\xbf {"text": "s\\u00f3"}'), origin())] == ["só"]


@pytest.mark.parametrize("data", [b'[{"text": "um"}, {"te', b"[1, nope]", b'{"text": '])
def test_what_breaks_off_says_where(data):
    with pytest.raises(DataError, match="not JSON"):
        list(read_json(io.BytesIO(data), origin()))
