"""What stream.py promises: texts come back from a stream, in ids of two bytes where they fit."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozero.dataset.stream import Collection, TokenStream, encode_documents, lay_out, let_go
from dozero.tokenizer.tokenizer import END_ID, Tokenizer, train_bpe_tokenizer, train_char_tokenizer

TEXTS = st.lists(st.text(alphabet="abcãçé日🙂", max_size=12), min_size=1, max_size=20)


def documents_of(stream, tokenizer):
    """The texts between the ends, read from the ids alone."""
    ids = np.asarray(stream.ids)
    assert ids[0] == ids[-1] == END_ID
    ends = np.flatnonzero(ids == END_ID)
    return [tokenizer.decode(ids[a + 1 : b].tolist()) for a, b in itertools.pairwise(ends)]


@given(texts=TEXTS)
def test_every_document_comes_back_from_the_stream(texts):
    for tokenizer in (train_char_tokenizer([*texts, "x"]), train_bpe_tokenizer(["abc ãçé", "日 🙂"], 300)):
        stream = encode_documents(texts, tokenizer)
        assert documents_of(stream, tokenizer) == texts
        assert stream.starts.tolist() == np.flatnonzero(stream.ids == END_ID)[:-1].tolist()
        assert stream.documents == len(texts)


@given(texts=TEXTS)
def test_counts_are_those_of_the_text(texts):
    for tokenizer in (train_char_tokenizer([*texts, "x"]), train_bpe_tokenizer(["abc ãçé", "日 🙂"], 300)):
        stream = encode_documents(texts, tokenizer)
        assert stream.characters == sum(len(text) + 1 for text in texts)
        assert stream.bytes == sum(len(text.encode()) for text in texts)
        assert stream.tokens == sum(len(tokenizer.encode(text)) + 1 for text in texts) == len(stream.ids) - 1


def test_nothing_is_laid_out_as_nothing():
    ids, lengths = lay_out([], train_char_tokenizer(["x"]))
    assert (ids.tolist(), lengths.tolist()) == ([], [])


@pytest.mark.parametrize(("vocab_size", "dtype"), [(2**16, np.uint16), (2**16 + 1, np.uint32)])
def test_ids_take_two_bytes_where_the_vocabulary_fits(vocab_size, dtype):
    characters = (chr(c) for c in range(1, 0x110000) if not 0xD800 <= c < 0xE000)
    tokens = (b"", *(next(characters).encode() for _ in range(vocab_size - 1)))
    tokenizer = Tokenizer(tokens)
    last = tokens[-1].decode()
    stream = encode_documents([last, "ab"], tokenizer)
    assert stream.ids.dtype == dtype
    assert stream.ids.max() == vocab_size - 1
    assert documents_of(stream, tokenizer) == [last, "ab"]


def test_counts_of_a_stream_are_the_sums_of_its_collections():
    some, more = Collection("a", 2, 30, 60, 70), Collection("b", 1, 5, 9, 8, weight=2.0)
    stream = TokenStream((np.zeros(20, np.uint16), np.ones(16, np.uint16)), np.array([0, 7, 30]), (some, more))
    assert (stream.documents, stream.tokens, stream.characters, stream.bytes) == (3, 35, 69, 78)
    assert stream.ids.tolist() == [0] * 20 + [1] * 16


STATUS = Path("/proc/self/status")


def mapped_bytes():
    """Of this process, of all files."""
    (line,) = (line for line in STATUS.read_text(encoding="ascii").splitlines() if line.startswith("RssFile:"))
    return 1024 * int(line.split()[1])


@pytest.mark.skipif(not STATUS.exists(), reason="Linux tells what is mapped")
def test_what_was_read_of_a_file_is_let_go_and_can_be_read_again(tmp_path):
    numbers = np.arange(2**22, dtype=np.uint16)
    numbers.tofile(tmp_path / "ids.bin")
    mapped = np.asarray(np.memmap(tmp_path / "ids.bin", dtype=np.uint16, mode="r"))
    assert np.array_equal(mapped, numbers)
    before = mapped_bytes()
    let_go(mapped)
    assert before - mapped_bytes() > 0.9 * numbers.nbytes
    assert np.array_equal(mapped, numbers)


def test_an_array_in_memory_stays():
    numbers = np.arange(1000)
    let_go(numbers[10:])
    assert numbers.sum() == 499_500
