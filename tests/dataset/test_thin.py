"""What thin.py promises: whole documents, from all over a stream."""

import itertools

import numpy as np
import pytest

from dozero.dataset.stream import TokenStream, encode_documents
from dozero.dataset.thin import thin_stream
from dozero.testing import WORDS
from dozero.tokenizer.tokenizer import END_ID, train_char_tokenizer

TOKENIZER = train_char_tokenizer(WORDS)
STREAM = encode_documents(WORDS, TOKENIZER)


def documents_of(stream):
    bounds = [*stream.starts, stream.tokens]
    return [TOKENIZER.decode(stream.ids[a + 1 : b].tolist()) for a, b in itertools.pairwise(bounds)]


def test_all_of_it_is_the_stream_itself():
    whole = thin_stream(STREAM, 1.0)
    assert np.array_equal(whole.ids, STREAM.ids)
    assert np.array_equal(whole.starts, STREAM.starts)
    assert (whole.documents, whole.tokens, whole.characters, whole.bytes) == (
        *(STREAM.documents, STREAM.tokens, STREAM.characters, STREAM.bytes),
    )


@pytest.mark.parametrize("share", [0.0001, 0.05, 0.3, 0.5, 0.99])
def test_a_share_is_whole_documents_in_order_from_first_part_to_last(share):
    thin = thin_stream(STREAM, share)
    places = [WORDS.index(text) for text in documents_of(thin)]
    assert len(places) == max(1, round(share * len(WORDS))) == thin.documents
    assert places == sorted(set(places))
    assert max(np.diff([*places, len(WORDS)])) <= len(WORDS) / thin.documents + 1
    assert thin.ids[-1] == END_ID
    assert thin.tokens == len(thin.ids) - 1


def test_shards_are_read_as_one_stream():
    ids = STREAM.ids
    cut = TokenStream(
        (ids[:100], ids[100:200], *np.split(ids[200:], range(100, len(ids) - 200, 100))),
        STREAM.starts,
        STREAM.collections,
    )
    assert np.array_equal(thin_stream(cut, 0.3).ids, thin_stream(STREAM, 0.3).ids)


def test_more_than_all_is_all():
    assert thin_stream(STREAM, 7.0).documents == STREAM.documents
