"""SentencePiece's BPE, as transformers puts it together now and did before: the same ids, the same text."""

import json
from pathlib import Path

import pytest
import tokenizers
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import normalizers

from dozero.errors import ModelMismatch
from dozero.tokenizer.files import of_parts, read_tokenizer_json, write_tokenizer_files
from dozero.tokenizer.imported import take_parts
from dozero.tokenizer.pieces import bytes_of_piece, is_of_pieces, puts_space_first

SETTINGS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "add_bos_token": True}
LETTERS = ["▁", "a", "c", "s", "o", "ã"]
MERGES = [("▁", "c"), ("a", "s"), ("as", "a"), ("▁c", "asa"), ("ã", "o"), ("▁", "▁")]
NAMES = ["<unk>", "<s>", "</s>", *(f"<0x{b:02X}>" for b in range(256)), *LETTERS, *(a + b for a, b in MERGES)]


def tree_of(form):
    theirs = transformers.LlamaTokenizer(vocab={name: i for i, name in enumerate(NAMES)}, merges=MERGES)
    library = tokenizers.Tokenizer.from_str(theirs.backend_tokenizer.to_str())
    if form == "of old":
        library.pre_tokenizer = None
        library.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    return json.loads(library.to_str())


def opened(form):
    tree = tree_of(form)
    ours = of_parts(take_parts(tree, SETTINGS, "", Path("t")))
    return ours, transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizers.Tokenizer.from_str(json.dumps(tree)), **{k: v for k, v in SETTINGS.items() if k != "add_bos_token"})  # fmt: skip


BOTH = {form: opened(form) for form in ("now", "of old")}
texts = st.text(st.sampled_from("cas o ã\n日🙂<>") | st.characters(exclude_categories=("Cs",)), max_size=20)


@pytest.mark.parametrize("form", BOTH)
@given(text=texts)
@settings(deadline=None)
def test_ids_and_text_are_those_of_transformers(form, text):
    ours, theirs = BOTH[form]
    ids = ours.encode(text).tolist()
    assert ids == theirs(text, add_special_tokens=False, split_special_tokens=True).input_ids
    assert ours.decode(ids).removeprefix(" ") == theirs.decode(ids) == text.removeprefix(" " if form == "now" else "")


@pytest.mark.parametrize("form", BOTH)
def test_a_long_text_is_not_cut_where_a_piece_would_get_a_space(form):
    ours, theirs = BOTH[form]
    text = "casa não " * 12_000
    assert ours.encode(text).tolist() == theirs(text, add_special_tokens=False).input_ids


@pytest.mark.parametrize("form", BOTH)
def test_it_is_written_and_read_back_with_what_begins_a_text(form, tmp_path):
    ours, _ = BOTH[form]
    write_tokenizer_files(ours, tmp_path)
    assert read_tokenizer_json(tmp_path / "tokenizer.json") == ours
    again = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert (
        again("uma casa").input_ids
        == ours.begin(ours.encode("uma casa").tolist())
        == [1, *ours.encode("uma casa").tolist()]
    )
    assert puts_space_first(tree_of(form))


def test_bytes_and_spaces_of_a_piece():
    assert [bytes_of_piece(name) for name in ("<0x00>", "<0xFF>", "<0xff>", "▁▁a")] == [
        b"\0",
        b"\xff",
        b"<0xff>",
        b"  a",
    ]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"normalizer": {"type": "NFKC"}}, "the normalizer NFKC"),
        ({"normalizer": {"type": "Prepend", "prepend": "x"}}, "the normalizer Prepend"),
        ({"normalizer": {"type": "Replace", "pattern": {"Regex": "a"}, "content": "▁"}}, "the normalizer Replace"),
        ({"pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "split": True}}, "the pre-tokenizer Metaspace"),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "the pre-tokenizer Whitespace"),
        ({"decoder": {"type": "WordPiece"}}, "the decoder WordPiece"),
        ({"post_processor": {"type": "BertProcessing"}}, "the post-processor BertProcessing"),
    ],
)
def test_what_is_not_known_is_refused_by_name(changes, told):
    with pytest.raises(ModelMismatch, match=f"got {told}"):
        take_parts(tree_of("of old") | changes, SETTINGS, "", Path("t"))


def test_every_byte_has_a_token():
    tree = tree_of("now")
    del tree["model"]["vocab"]["<0x41>"]
    assert is_of_pieces(tree)
    with pytest.raises(ModelMismatch, match="no token for the byte 65"):
        take_parts(tree, SETTINGS, "", Path("t"))
