"""Records become documents with their own licence and source, or say why not."""

import pytest

from dozero.corpus.document import Document
from dozero.corpus.read.limits import Budget, Limits, Unreadable
from dozero.corpus.read.origin import Origin, find_text_field, is_unicode, licence_of, read_record, tell_few_faults
from dozero.errors import DataError

ORIGIN = Origin("a.jsonl", "MIT", "docs", "text", Limits(largest_document_chars=20, depth=2), Budget(100))


def test_a_record_brings_its_own_licence_and_source():
    record = {"text": "oi", "license": "CC0-1.0", "url": "https://example.org/1"}
    assert read_record(record, 1, "a.jsonl#1", ORIGIN) == Document("oi", "https://example.org/1", "CC0-1.0", "", "docs")
    assert read_record({"text": "oi"}, 7, "a.jsonl#7", ORIGIN) == Document("oi", "a.jsonl#7", "MIT", "", "docs")
    assert licence_of({"licence": 3}) == ""


@pytest.mark.parametrize(
    ("record", "what"),
    [
        ({"body_html": "x", "id": 1}, 'no field "text"; it has body_html, id'),
        ({"text": None}, "empty (null)"),
        ({"text": 3}, "is int, not text"),
        ({"text": "  "}, "empty: no text in it"),
        ({"text": "x" * 21}, "longer than 20 characters"),
        ({"text": "\ud800"}, "surrogate"),
    ],
)
def test_a_record_without_text_says_why(record, what):
    fault = read_record(record, 1, "a.jsonl, line 1", ORIGIN)
    assert isinstance(fault, Unreadable)
    assert fault.where == "a.jsonl, line 1"
    assert what in fault.what


def test_a_usual_field_stands_in_only_where_none_was_named():
    assert find_text_field(["id", "texto"], "text") == "texto"
    with pytest.raises(DataError, match='no field "corpo"'):
        find_text_field(["id", "texto"], "corpo")


def test_layers_are_counted():
    deep = ORIGIN.inside("b.zip").inside("c.txt")
    assert deep.name == "a.jsonl!b.zip!c.txt"
    with pytest.raises(DataError, match="packed more than 2 times"):
        deep.inside("d")


def test_a_flood_of_one_fault_is_summed_up():
    faults = [Unreadable(f"a, line {n}", "bad") for n in range(9)] + [Unreadable("a, line 99", "worse")]
    told = list(tell_few_faults([*faults, Document("oi", "a", "")], "a"))
    assert sum(isinstance(item, Unreadable) for item in told) == 5 + 1 + 1
    assert told[-1] == Unreadable("a", "4 more records: bad")
    assert is_unicode("é")
    assert not is_unicode("\udc80")
