"""Figures of vocabularies: against counting by hand, and for files that dozero did not write."""

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from dozero.errors import DataError, ModelMismatch
from dozero.tokenizer.compare import measure_vocabulary, of_tokenizer, open_vocabulary
from dozero.tokenizer.files import write_tokenizer_files
from dozero.tokenizer.tokenizer import bpe_tokenizer, train_bpe_tokenizer, train_char_tokenizer

PORTUGUESE = "o coração da informação não é a ração: são canções e lições, à mão, em português.\n" * 3
ENGLISH = "the heart of the matter is not a portion of these songs and lessons in the english hand.\n" * 3


def figures_of(tokenizer, *texts):
    return measure_vocabulary(of_tokenizer("x", tokenizer), texts)


@given(st.lists(st.text(st.sampled_from("ab ç1."), min_size=1, max_size=20), min_size=1, max_size=4))
def test_characters_cut_every_word_into_its_letters(texts):
    figures = figures_of(train_char_tokenizer(["ab ç1."]), *texts)
    letters = ["".join(c if c.isalpha() else " " for c in text).split() for text in texts]
    words = [word for row in letters for word in row]
    assert (figures.tokens, figures.words) == (sum(map(len, texts)), len(words))
    assert figures.bytes == len("".join(texts).encode())
    assert figures.tokens_used == len(set("".join(texts)))
    assert figures.word_tokens >= sum(map(len, words))  # a letter each, and the space before where there is one


def test_by_hand():
    tokenizer = bpe_tokenizer([(72, 90), (74, 264), (265, 72), (228, 266)])  # as, cas, casa and, with its space, casa
    figures = figures_of(tokenizer, "casa casa casas", "1 2")
    assert tokenizer.tokens[-1] == b" casa"
    assert (figures.tokens, figures.words, figures.words_split, figures.word_tokens) == (8, 3, 1, 5)
    assert (figures.bytes, figures.tokens_used) == (18, 7)
    assert (figures.split_share, figures.fertility, figures.used_share) == (1 / 3, 5 / 3, 7 / 268)
    assert figures.bytes_per_token == 18 / 8


def test_portuguese_pays_under_an_english_vocabulary_and_the_other_way_round():
    pt, en = (train_bpe_tokenizer([text], 300) for text in (PORTUGUESE, ENGLISH))
    assert figures_of(en, PORTUGUESE).price(figures_of(pt, PORTUGUESE)) > 1.2
    assert figures_of(pt, ENGLISH).price(figures_of(en, ENGLISH)) > 1.2


def test_a_foreign_tokenizer_json_is_measured_too(tmp_path):
    file = tmp_path / "theirs" / "tokenizer.json"
    file.parent.mkdir()
    library = tokenizers.Tokenizer(tokenizers.models.BPE())
    library.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = tokenizers.trainers.BpeTrainer(special_tokens=["</s>"], show_progress=False, vocab_size=200)
    library.train_from_iterator([PORTUGUESE], trainer)
    library.enable_truncation(3)
    library.enable_padding(length=100)
    library.save(str(file))
    figures = measure_vocabulary(open_vocabulary(file), [PORTUGUESE, "</s>"])
    assert (figures.name, figures.vocab_size) == ("theirs", library.get_vocab_size())
    assert open_vocabulary(file.rename(file.with_name("other.json"))).name == "other.json"
    assert len(PORTUGUESE.split()) < figures.tokens < len(PORTUGUESE.encode())


def test_ours_is_read_as_ours(tmp_path):
    ours = train_char_tokenizer([PORTUGUESE])
    write_tokenizer_files(ours, tmp_path)
    assert measure_vocabulary(open_vocabulary(tmp_path / "tokenizer.json"), [PORTUGUESE]).tokens == len(PORTUGUESE)


def test_what_is_no_tokenizer_is_refused(tmp_path):
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelMismatch, match=r"tokenizer\.json: not a tokenizer\.json that tokenizers opens"):
        open_vocabulary(tmp_path / "tokenizer.json")
    with pytest.raises(DataError, match="no text"):
        figures_of(train_char_tokenizer(["a"]))
