"""What origin.py promises: the documents named are those whose text the rows hold, all of them and no other."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozero.dataset.batch import gather_batch, rows_of_step
from dozero.dataset.origin import documents_of_rows
from dozero.dataset.rows import pack_rows
from dozero.dataset.stream import encode_documents
from dozero.tokenizer.tokenizer import train_char_tokenizer

LETTERS = "abcdefghijklmnopqrstuvwxyz"
TOKENIZER = train_char_tokenizer([LETTERS])


@given(lengths=st.lists(st.integers(1, 40), min_size=1, max_size=26), seed=st.integers(0, 99), step=st.integers(0, 20))
def test_the_documents_named_are_those_whose_letter_the_batch_holds(lengths, seed, step):
    """Each document is one letter over and over, so that its tokens say where they come from."""
    stream = encode_documents([LETTERS[i] * length for i, length in enumerate(lengths)], TOKENIZER)
    rows = pack_rows(stream, 8)
    chosen = rows_of_step(rows.mix, 2, seed, step)
    batch = gather_batch(rows, chosen)
    letters = {letter for row in batch.targets.tolist() for letter in TOKENIZER.decode([t for t in row if t > 0])}
    ends = set(documents_of_rows(rows, chosen, stream)) - {LETTERS.index(letter) for letter in letters}
    assert {LETTERS.index(letter) for letter in letters} <= set(documents_of_rows(rows, chosen, stream))
    assert all(lengths[document] % 8 == 0 for document in ends), "of a document only its end may stand in a row"


def test_all_rows_hold_all_documents():
    stream = encode_documents(["abc", "de", "fghij" * 9, "k"], TOKENIZER)
    rows = pack_rows(stream, 16)
    assert documents_of_rows(rows, np.arange(len(rows)), stream) == [0, 1, 2, 3]
    assert documents_of_rows(rows, [], stream) == []


@pytest.mark.parametrize("row", [0, 1])
def test_a_document_in_pieces_is_named_once(row):
    stream = encode_documents(["a" * 40], TOKENIZER)
    rows = pack_rows(stream, 16)
    assert documents_of_rows(rows, [row, row + 1], stream) == [0]
