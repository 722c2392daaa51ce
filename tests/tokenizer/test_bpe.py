"""The reference that is taught equals the library that is used: same merges, same ids, any text back."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozero.stories.tell import tell
from dozero.tokenizer import bpe
from dozero.tokenizer.tokenizer import train_bpe_tokenizer

TEXTS = [tell(lang, 11, n) for lang in ("pt", "en") for n in range(120)]


def test_it_stays_short_enough_to_be_read():
    assert len(Path(bpe.__file__).read_text(encoding="utf-8").splitlines()) <= 150


@pytest.mark.parametrize("size", [300, 600, 1100])
def test_merges_and_ids_are_those_of_the_library(size):
    ours = bpe.train_bpe(TEXTS, size, specials=8, min_count=2)
    library = train_bpe_tokenizer(TEXTS, size)
    assert len(library.specials) == 8
    assert ours.tokens == library.tokens
    assert list(ours.merges) == list(library.merges)
    for text in TEXTS[:40]:
        assert ours.encode(text) == library.encode(text).tolist()


# Each of the two has its own table of what is a letter; neither is asked about characters that Python does not know yet.
any_text = st.text(st.characters(exclude_categories=["Cs", "Cn"]), max_size=12)
# Few letters, so that pairs repeat, overlap and tie.
repetitive = st.text(st.sampled_from("ab çã'1\n."), max_size=40)


@given(st.lists(any_text | repetitive, min_size=1, max_size=12), st.integers(265, 320), st.integers(1, 3))
def test_any_training_text_gives_the_librarys_merges_and_ids(texts, size, min_count):
    ours = bpe.train_bpe(texts, size, specials=8, min_count=min_count)
    library = train_bpe_tokenizer(texts, size, min_count)
    assert ours.tokens == library.tokens
    assert tuple(ours.merges) == library.merges
    for text in texts:
        assert ours.encode(text) == library.encode(text).tolist()


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_comes_back(text):
    trained = bpe.train_bpe(TEXTS[:5], 280)
    assert trained.decode(trained.encode(text)) == text
    assert "".join(bpe.split_words(text)) == text
