"""The copy meter: everything planted is found, nothing else is, whatever the size of a portion; against a plain search."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dozero.corpus.document import Document
from dozero.eval import copies
from dozero.eval.copies import find_copies, hash_windows

texts = st.lists(st.text("ab ", max_size=25), max_size=5)


def documents_of(told):
    return [Document(text, f"{n}.txt", "own") for n, text in enumerate(told)]


def plain_search(samples, documents, shortest):
    """Every passage of a sample that stands in a document and cannot be made longer, by trying all of them."""
    found = set()
    for n, sample in enumerate(samples):
        spans = {
            (a, b)
            for a in range(len(sample))
            for b in range(a + shortest, len(sample) + 1)
            if any(sample[a:b] in document for document in documents)
        }
        found |= {
            (n, a, sample[a:b]) for a, b in spans if not any((c, d) != (a, b) and c <= a and b <= d for c, d in spans)
        }
    return found


@settings(max_examples=150)
@given(texts, texts, st.integers(1, 6))
def test_the_copies_are_those_that_a_plain_search_finds(samples, told, shortest):
    found = find_copies(samples, documents_of(told), shortest)
    assert {(c.sample, c.start, c.text) for c in found.copies} == plain_search(samples, told, shortest)
    for copy in found.copies:
        assert copy.text in copy.document.text
    assert set(found.whole) == {n for n, s in enumerate(samples) if s.strip() in {t.strip() for t in told}}
    assert (found.documents, found.characters) == (len(told), sum(map(len, told)))


@settings(max_examples=50)
@given(texts, texts, st.integers(1, 6))
def test_portions_and_pairs_at_once_change_nothing(samples, told, shortest):
    whole = find_copies(samples, documents_of(told), shortest)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(copies, "CHARACTERS_AT_ONCE", 10)
        patch.setattr(copies, "PAIRS_AT_ONCE", 3)
        parts = find_copies(samples, documents_of(told), shortest)
    assert {(c.sample, c.start, c.text) for c in parts.copies} == {(c.sample, c.start, c.text) for c in whole.copies}


def test_planted_passages_are_found_with_document_and_licence():
    draw = random.Random(0)
    letters = "abcdefghijklmnopqrstuvwxyzáéíóúãõç ,."

    def noise(n):
        return "".join(draw.choice(letters) for _ in range(n))

    told = [Document(noise(2000), f"doc-{n}.txt", f"licence {n}") for n in range(300)]
    planted = []
    for _ in range(60):
        document, length = draw.choice(told), draw.randint(30, 400)
        at = draw.randrange(len(document.text) - length)
        planted.append(
            (noise(50) + document.text[at : at + length] + noise(50), document, document.text[at : at + length])
        )
    found = find_copies([sample for sample, *_ in planted], told)
    for n, (_, document, passage) in enumerate(planted):
        mine = [c for c in found.copies if c.sample == n and passage in c.text]
        assert len(mine) == 1
        assert (mine[0].document.source, mine[0].document.licence) == (document.source, document.licence)
    assert len(found.copies) == len(planted)


def test_29_characters_are_no_copy_and_30_are():
    document = Document("0123456789abcdefghijklmnopqrstuvwxyz", "x", "own")
    assert not find_copies(["--" + document.text[:29] + "--"], [document]).copies
    assert find_copies(["--" + document.text[:30] + "--"], [document]).copies[0].text == document.text[:30]


def test_no_copy_reaches_from_one_document_into_the_next():
    half = "abcdefghijklmnopqrst"
    assert not find_copies([half + half], documents_of([half, half])).copies
    assert find_copies(["x"], documents_of([])).copies == ()
    assert find_copies([], documents_of(["x"])).copies == ()


def test_letters_outside_of_the_basic_plane_count_as_one():
    passage = "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 " * 5
    (copy,) = find_copies(["a" + passage], documents_of(["b" + passage])).copies
    assert (copy.start, copy.text) == (1, passage)


def test_overlapping_copies_are_counted_once_in_the_share():
    left, right = "abcdefghijklmnopqrstuvwxyz0123456789", "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    found = find_copies([left + right[10:]], documents_of([left, right]))
    assert len(found.copies) == 2
    assert found.copied_characters(1).tolist() == [len(left + right[10:])]
    assert found.longest(1).tolist() == [36]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.integers(1, 40))
def test_equal_windows_have_equal_hashes_and_others_do_not(codes, length):
    hashes = hash_windows(np.array(codes, dtype=np.uint32), length)
    windows = {}
    for i in range(len(codes) - length + 1):
        windows.setdefault(tuple(codes[i : i + length]), set()).add(int(hashes[i]))
    assert all(len(told) == 1 for told in windows.values())
    assert len({next(iter(told)) for told in windows.values()}) == len(windows)
