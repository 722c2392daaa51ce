"""What shards.py promises: every document comes back from the stream, and damage to a shard is found on opening."""

import itertools
import json
import random
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozero.artifact import Manifest
from dozero.dataset.shards import build_dataset, encode_documents, open_dataset
from dozero.dataset.split import is_heldout
from dozero.errors import ArtifactError, DataError
from dozero.testing import WORDS, tiny_corpus, tiny_dataset
from dozero.tokenizer.tokenizer import END_ID, Tokenizer, train_char_tokenizer

TEXTS = st.lists(st.text(alphabet="abcãçé日🙂", max_size=12), min_size=1, max_size=20)
FILES = ("train.bin", "train.starts.bin", "heldout.bin", "heldout.starts.bin", "index.json")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    path = tmp_path_factory.mktemp("shards") / "dataset"
    dataset, tokenizer = tiny_dataset(path)
    return path, dataset, tokenizer


def documents_of(stream, tokenizer):
    """The texts between the ends, read from the ids alone."""
    ids = np.asarray(stream.ids)
    assert ids[0] == ids[-1] == END_ID
    ends = np.flatnonzero(ids == END_ID)
    return [tokenizer.decode(ids[a + 1 : b].tolist()) for a, b in itertools.pairwise(ends)]


@given(texts=TEXTS)
def test_every_document_comes_back_from_the_stream(texts):
    tokenizer = train_char_tokenizer([*texts, "x"])
    stream = encode_documents(texts, tokenizer)
    assert documents_of(stream, tokenizer) == texts
    assert stream.starts.tolist() == np.flatnonzero(stream.ids == END_ID)[:-1].tolist()
    assert stream.documents == len(texts)


@given(texts=TEXTS)
def test_counts_are_those_of_the_text(texts):
    stream = encode_documents(texts, train_char_tokenizer([*texts, "x"]))
    assert stream.characters == sum(len(text) + 1 for text in texts)
    assert stream.bytes == sum(len(text.encode()) for text in texts)
    assert len(stream.ids) == stream.characters + 1, "the last end closes the stream"


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


def test_what_is_opened_is_what_was_built(built, tmp_path):
    path, opened, tokenizer = built
    shutil.copytree(path, tmp_path / "copy")
    again = open_dataset(tmp_path / "copy")
    for side in ("train", "heldout"):
        stream, other = getattr(opened, side), getattr(again, side)
        assert isinstance(stream.ids, np.memmap), "read from disk when used"
        assert np.array_equal(stream.ids, other.ids)
        assert (stream.starts.tolist(), stream.characters, stream.bytes) == (
            other.starts.tolist(),
            other.characters,
            other.bytes,
        )
    assert opened.vocab_size == again.vocab_size == tokenizer.vocab_size
    assert opened.manifest.fingerprint == again.manifest.fingerprint


def test_every_document_is_on_one_side_in_its_order(built):
    _, dataset, tokenizer = built
    assert documents_of(dataset.train, tokenizer) == [word for word in WORDS if not is_heldout(word, 20)]
    assert documents_of(dataset.heldout, tokenizer) == [word for word in WORDS if is_heldout(word, 20)]


def test_the_manifest_counts_what_the_streams_hold(built):
    _, dataset, _ = built
    for side in ("train", "heldout"):
        stream = getattr(dataset, side)
        assert dataset.manifest.counts[side] == {"documents": stream.documents, "tokens": stream.characters}
    assert dataset.manifest.about["licence"] == "CC0-1.0", "the licence of the text goes with it"


@pytest.mark.parametrize("name", FILES)
def test_truncated_shard_is_named(name, built, tmp_path):
    shutil.copytree(built[0], tmp_path / "dataset")
    file = tmp_path / "dataset" / name
    content = file.read_bytes()
    for length in (0, 1, len(content) // 2, len(content) - 1):
        file.write_bytes(content[:length])
        with pytest.raises(ArtifactError) as caught:
            open_dataset(tmp_path / "dataset")
        assert caught.value.where == file


@pytest.mark.parametrize("name", FILES)
def test_flipped_bit_of_a_shard_is_named(name, built, tmp_path):
    shutil.copytree(built[0], tmp_path / "dataset")
    file, draw = tmp_path / "dataset" / name, random.Random(name)
    content = file.read_bytes()
    for _ in range(20):
        damaged = bytearray(content)
        damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
        file.write_bytes(damaged)
        with pytest.raises(ArtifactError, match="SHA-256") as caught:
            open_dataset(tmp_path / "dataset")
        assert caught.value.where == file


def test_too_few_documents_for_two_splits_are_refused(tmp_path):
    corpus = tiny_corpus(tmp_path / "corpus", ["casa"])
    with pytest.raises(DataError, match="too few documents") as caught:
        build_dataset(corpus, train_char_tokenizer(corpus.texts()), 20.0, {}, tmp_path / "dataset")
    assert caught.value.got == 1
    assert list(tmp_path.iterdir()) == [tmp_path / "corpus"]


def test_a_character_without_a_token_is_refused(tmp_path):
    corpus = tiny_corpus(tmp_path / "corpus")
    with pytest.raises(DataError, match="never saw"):
        build_dataset(corpus, train_char_tokenizer(["abc"]), 20.0, {}, tmp_path / "dataset")
    assert list(tmp_path.iterdir()) == [tmp_path / "corpus"]


def test_the_index_is_readable_by_people(built):
    index = json.loads((built[0] / "index.json").read_text(encoding="utf-8"))
    assert index["dtype"] == "uint16"
    assert index["vocab_size"] == built[1].vocab_size
