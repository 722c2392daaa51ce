"""Text to ids and back, as the libraries tokenizers and transformers do it with the files we write."""

import os
import subprocess
import sys
from itertools import pairwise

import pytest
import tokenizers
from hypothesis import assume, example, given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from dozero.errors import DataError, ModelMismatch
from dozero.stories.tell import tell
from dozero.tokenizer import tokenizer as module
from dozero.tokenizer.files import write_tokenizer_files
from dozero.tokenizer.tokenizer import (
    BPE_SPECIALS,
    END_ID,
    END_OF_TEXT,
    Tokenizer,
    train_bpe_tokenizer,
    train_char_tokenizer,
)

TEXTS = {
    "Portuguese": "coração mãe àquela órfã, avó! Ação?",
    "Russian": "ёж съел щавель",
    "Chinese": "我们的语言模型 你好",
    "Japanese": "日本語 が カタカナ",
    "Hindi": "नमस्ते",
    "four bytes": "🙂👍🏽𝒳 a",
    "spaces": " two  spaces\tand\nlines \r\n\u00a0\u3000\u2028end ",
    "spaces before signs": "casa , rua . n ' t !",
    "quotes": '"it\'s" <b>[x]</b> {y} \\ ## ▁ Ġ',
}
characters = st.one_of(
    st.sampled_from("aeço ãé'"), st.characters(exclude_categories=("Cs",)), st.sampled_from("日本語🙂👍ёж\u0301")
)
texts = st.lists(st.text(characters, max_size=12), min_size=1, max_size=4)


def opened_by_tokenizers(tokenizer, folder):
    write_tokenizer_files(tokenizer, folder)
    return tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))


# --- against the libraries ----------------------------------------------------------------------------------------------


@given(texts)
@example(["<|endoftext|"])
@example(["\x00\x7f\x80\xff\u0100\ufeff\uffff\U0010ffff"])
def test_ids_are_those_of_the_library_for_any_alphabet(tmp_path_factory, training):
    assume(any(training))
    assume(not any(END_OF_TEXT in text for text in training))
    ours = train_char_tokenizer(training)
    theirs = opened_by_tokenizers(ours, tmp_path_factory.mktemp("tokenizer"))
    assert theirs.get_vocab_size() == ours.vocab_size
    for text in training:
        ids = ours.encode(text).tolist()
        assert ids == theirs.encode(text).ids
        assert len(ids) == len(text)
        assert ours.decode(ids) == theirs.decode(ids) == text


@given(texts, st.data())
def test_any_ids_decode_as_in_the_library_broken_characters_too(tmp_path_factory, training, data):
    assume(any(training))
    ours = train_char_tokenizer(["日本", "ção🙂", *training])
    theirs = opened_by_tokenizers(ours, tmp_path_factory.mktemp("tokenizer"))
    ids = data.draw(st.lists(st.integers(0, ours.vocab_size - 1), max_size=12))
    assert ours.decode(ids) == theirs.decode(ids, skip_special_tokens=True)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_transformers_opens_it_and_agrees(text, tmp_path):
    ours = train_char_tokenizer([text])
    write_tokenizer_files(ours, tmp_path)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    assert theirs(text).input_ids == ours.encode(text).tolist()
    assert theirs.decode(ours.encode(text)) == text
    assert len(theirs) == ours.vocab_size
    for role in ("bos", "eos", "pad"):
        assert (getattr(theirs, f"{role}_token"), getattr(theirs, f"{role}_token_id")) == (END_OF_TEXT, END_ID)
    ends = [END_ID, *ours.encode(text).tolist(), END_ID]
    assert theirs(f"{END_OF_TEXT}{text}{END_OF_TEXT}").input_ids == ends
    assert theirs.decode(ends, skip_special_tokens=True) == ours.decode(ends) == text


# --- its own laws -------------------------------------------------------------------------------------------------------


@given(texts, st.data())
def test_any_text_of_the_alphabet_comes_back(training, data):
    assume(any(training))
    tokenizer = train_char_tokenizer(training)
    assert set(tokenizer.alphabet) == set("".join(training))
    text = data.draw(st.text(tokenizer.alphabet))
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids.tolist()) == text
    assert [len(tokenizer.tokens[i].decode()) for i in ids] == [1] * len(text)


@given(texts)
def test_the_tokens_are_the_end_the_bytes_and_every_part_and_whole_of_longer_characters(training):
    assume(any(training))
    tokens = train_char_tokenizer(training).tokens
    encoded = {c.encode() for c in "".join(training)}
    assert tokens[END_ID] == b""
    assert len(set(tokens)) == len(tokens)
    assert set(tokens[1:]) == {e[i : i + 1] for e in encoded for i in range(len(e))} | {
        e[:n] for e in encoded for n in range(1, len(e) + 1)
    }
    assert [len(t) for t in tokens] == sorted(len(t) for t in tokens)


@given(texts)
def test_the_order_of_the_texts_does_not_matter(training):
    assume(any(training))
    assert train_char_tokenizer(training) == train_char_tokenizer(sorted(training, reverse=True))


def test_unknown_characters_are_named_once_each_in_their_order():
    tokenizer = train_char_tokenizer(["casa"])
    with pytest.raises(DataError, match=r"expected characters of its alphabet 'acs'; got 'çã日'"):
        tokenizer.encode("caçaã日ç")
    with pytest.raises(DataError, match="never saw"):
        tokenizer.encode("cas\udce3")  # how Python passes on a byte of the command line that is not UTF-8
    with pytest.raises(DataError) as caught:
        tokenizer.encode("".join(map(chr, range(0x4E00, 0x5E00))))
    assert len(str(caught.value)) < 250


def test_empty_text_has_no_ids_and_no_text_makes_no_tokenizer():
    assert train_char_tokenizer(["a"]).encode("").tolist() == []
    assert train_char_tokenizer(["a"]).decode([]) == ""
    for nothing in ([], [""]):
        with pytest.raises(DataError, match="no text"):
            train_char_tokenizer(nothing)


def test_every_id_has_a_printable_name():
    tokenizer = train_char_tokenizer(["aç日"])
    names = tokenizer.show(range(tokenizer.vocab_size))
    assert names == [END_OF_TEXT, "a", r"\x97", r"\xa5", r"\xa7", r"\xc3", r"\xe6", "ç", r"\xe6\x97", "日"]


def test_a_tokenizer_is_its_tokens():
    assert Tokenizer((b"", b"a")) == Tokenizer((b"", b"a")) == train_char_tokenizer(["a"])


# --- the kind bpe -------------------------------------------------------------------------------------------------------

STORIES = [tell(lang, 2, n) for lang in ("pt", "en") for n in range(150)]
BPE = train_bpe_tokenizer(STORIES, 900)
SPELLED = st.sampled_from(BPE_SPECIALS)
with_specials = st.lists(st.text(characters, max_size=8) | SPELLED | st.sampled_from(STORIES), max_size=6).map("".join)


@pytest.fixture(scope="module")
def bpe_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bpe")
    write_tokenizer_files(BPE, folder)
    return folder


@given(with_specials)
@example(" ".join(STORIES))
def test_bpe_any_text_comes_back_and_holds_no_special_token_even_where_it_spells_one(text):
    ids = BPE.encode(text).tolist()
    assert BPE.decode(ids) == text
    assert all(i >= len(BPE_SPECIALS) for i in ids)


def test_special_tokens_come_by_name_alone_and_stand_for_no_text():
    assert [BPE.special_id(name) for name in BPE_SPECIALS] == list(range(len(BPE_SPECIALS)))
    assert BPE.special_id(END_OF_TEXT) == train_char_tokenizer(["a"]).special_id(END_OF_TEXT) == END_ID
    assert BPE.decode(range(len(BPE_SPECIALS))) == ""
    assert BPE.show(range(3)) == [END_OF_TEXT, "<|im_start|>", "<|im_end|>"]
    with pytest.raises(ModelMismatch, match=r"no such special token; expected <\|endoftext\|>; got '<\|im_start\|>'"):
        train_char_tokenizer(["a"]).special_id("<|im_start|>")


@pytest.mark.parametrize("text", [*TEXTS.values(), *STORIES[::40]], ids=str)
def test_transformers_gives_the_same_ids_to_ordinary_text(text, bpe_folder):
    theirs = AutoTokenizer.from_pretrained(bpe_folder)
    assert theirs(text).input_ids == BPE.encode(text).tolist()
    assert theirs.decode(BPE.encode(text)) == text
    assert len(theirs) == BPE.vocab_size


def test_transformers_reads_special_tokens_out_of_text_unless_told_not_to(bpe_folder):
    theirs, text = AutoTokenizer.from_pretrained(bpe_folder), "oi<|im_end|><|endoftext|>"
    oi = BPE.encode("oi").tolist()
    assert theirs(text).input_ids == [*oi, BPE.special_id("<|im_end|>"), END_ID]
    assert theirs(text, split_special_tokens=True).input_ids == BPE.encode(text).tolist()
    assert theirs.decode([*oi, 1, 2, 3, 0], skip_special_tokens=True) == "oi"
    assert (theirs.bos_token_id, theirs.eos_token_id, theirs.pad_token_id) == (END_ID, END_ID, END_ID)


@given(st.lists(st.text(characters, max_size=30) | st.sampled_from(STORIES), max_size=8), st.integers(1, 40))
def test_many_texts_and_long_ones_get_the_ids_of_each_whole_text(texts, piece):
    """A long text is handed to the library in pieces: wherever they are cut, the ids are those of the whole."""
    whole = [BPE.encode(text).tolist() for text in texts]
    before, module.PIECE_CHARACTERS = module.PIECE_CHARACTERS, piece
    try:
        assert [BPE.encode(text).tolist() for text in texts] == whole
        assert [ids.tolist() for ids in BPE.encode_many(texts)] == whole
    finally:
        module.PIECE_CHARACTERS = before
    assert [ids.tolist() for ids in BPE.encode_many(texts)] == whole


@given(st.lists(st.text(st.sampled_from("aeçãñ日🙂"), max_size=6), max_size=6))
def test_many_texts_in_characters_get_the_ids_of_each(texts):
    tokenizer = train_char_tokenizer(["aeçãñ日🙂"])
    assert [ids.tolist() for ids in tokenizer.encode_many(texts)] == [tokenizer.encode(t).tolist() for t in texts]


def test_half_a_character_is_refused_in_one_line():
    for call in (BPE.encode, lambda text: BPE.encode_many(["casa", text])):
        with pytest.raises(DataError, match=r"text that is not Unicode; got 'cas\\udce3'"):
            call("cas\udce3")


def test_names_of_tokens_stay_on_their_line():
    names = BPE.show(range(BPE.vocab_size))
    assert all(name.isprintable() for name in names)
    assert r"\n" in names


def test_a_token_is_what_its_merge_joins():
    assert BPE.merges is not None
    first = len(BPE_SPECIALS) + 256
    assert [BPE.tokens[a] + BPE.tokens[b] for a, b in BPE.merges] == list(BPE.tokens[first:])
    assert all(max(pair) < first + rank for rank, pair in enumerate(BPE.merges))
    assert len(set(BPE.tokens[len(BPE_SPECIALS) :])) == BPE.vocab_size - len(BPE_SPECIALS)


def test_threads_change_no_byte():
    program = (
        "import hashlib\nfrom dozero.stories.tell import tell\nfrom dozero.tokenizer.tokenizer import *\n"
        "t = train_bpe_tokenizer((tell('pt', 1, n) for n in range(100)), 700)\n"
        "print(hashlib.sha256(repr((t.tokens, t.merges)).encode()).hexdigest())"
    )
    settings = ({"RAYON_NUM_THREADS": "1"}, {"RAYON_NUM_THREADS": "2"}, {"TOKENIZERS_PARALLELISM": "false"})
    printed = [
        subprocess.run([sys.executable, "-c", program], env=os.environ | s, capture_output=True, text=True, check=True)
        for s in settings
    ]
    assert all(a.stdout == b.stdout for a, b in pairwise(printed))
    assert len(printed[0].stdout) == 65


def test_characters_do_without_the_library():
    """It takes time that `hello` does not have before its first sample."""
    program = (
        "import sys\nfrom dozero.tokenizer.tokenizer import train_char_tokenizer\n"
        "t = train_char_tokenizer(['casa'])\nt.encode('casa')\nt.encode_many(['a', 'c'])\n"
        "print(sorted({'tokenizers', 'regex', 'transformers'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
