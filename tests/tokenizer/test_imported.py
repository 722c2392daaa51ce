"""Tokenizers of others: the same ids as the library that made them, and what is not known is refused by name."""

import json
from pathlib import Path

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from dozero.errors import ModelMismatch
from dozero.stories.tell import tell
from dozero.tokenizer.bpe import PATTERN
from dozero.tokenizer.files import of_parts, read_tokenizer_json, write_tokenizer_files
from dozero.tokenizer.imported import MOST_UNUSED, is_imported, is_unused, read_parts, take_parts, with_added

STORIES = [tell(lang, 2, n) for lang in ("pt", "en") for n in range(60)]
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
GPT2 = pre_tokenizers.ByteLevel(add_prefix_space=False)
BYTES = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)


def made_by_library(style):
    made = tokenizers.Tokenizer(models.BPE(ignore_merges=style == "llama3"))
    made.pre_tokenizer, made.decoder = GPT2, decoders.ByteLevel()
    if style == "smollm":
        made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), GPT2])
    if style in ("qwen2", "llama3"):
        made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(PATTERN), "isolated"), BYTES])
    trainer = trainers.BpeTrainer(
        vocab_size=450, special_tokens=SPECIALS if style == "smollm" else [], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    made.train_from_iterator(STORIES, trainer)
    if style == "qwen2":
        made.normalizer = normalizers.NFC()
        made.add_tokens([tokenizers.AddedToken("a rua", normalized=False, special=False)])
    made.add_special_tokens(SPECIALS)
    if style == "llama3":
        made.post_processor = processors.TemplateProcessing(
            single="<|im_start|> $A", special_tokens=[("<|im_start|>", made.token_to_id("<|im_start|>"))]
        )
    return made


STYLES = ("smollm", "qwen2", "llama3")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Folders as transformers writes them, in reading only."""
    made = {style: tmp_path_factory.mktemp(style) for style in STYLES}
    for style, folder in made.items():
        fast = PreTrainedTokenizerFast(
            tokenizer_object=made_by_library(style), bos_token="<|im_start|>", eos_token="<|im_end|>",
            pad_token="<|endoftext|>",
        )  # fmt: skip
        fast.chat_template = "{{ messages[0]['content'] }}"
        fast.save_pretrained(folder)
    return made


@pytest.mark.parametrize("style", STYLES)
@given(text=st.lists(st.text(max_size=8) | st.sampled_from([*SPECIALS, *STORIES[::20], "a rua", "12345"]), max_size=5))
@settings(deadline=None)
def test_ids_are_those_of_transformers_with_special_tokens_read_as_the_text_they_are(folders, style, text):
    ours, theirs = of_parts(read_parts(folders[style])), AutoTokenizer.from_pretrained(folders[style])
    whole = "".join(text)
    ids = ours.encode(whole).tolist()
    assert ids == theirs(whole, add_special_tokens=False, split_special_tokens=True).input_ids
    assert [row.tolist() for row in ours.encode_many([whole, "x"])] == [ids, ours.encode("x").tolist()]
    if style != "qwen2":  # which changes text to NFC first
        assert ours.decode(ids) == whole


@pytest.mark.parametrize("style", STYLES)
def test_any_ids_decode_as_in_the_library(folders, style):
    ours, theirs = of_parts(read_parts(folders[style])), AutoTokenizer.from_pretrained(folders[style])
    assert ours.vocab_size == len(theirs)
    for i in range(ours.vocab_size):
        assert ours.decode([i]) == theirs.decode([i], skip_special_tokens=True)


@pytest.mark.parametrize("style", STYLES)
def test_roles_are_those_that_the_folder_names(folders, style):
    ours, theirs = of_parts(read_parts(folders[style])), AutoTokenizer.from_pretrained(folders[style])
    assert ours.specials == tuple(sorted(SPECIALS, key=theirs.convert_tokens_to_ids))
    assert [ours.special_id(name) for name in SPECIALS] == theirs.convert_tokens_to_ids(SPECIALS)
    assert ours.end_id == theirs.eos_token_id
    assert ours.begin(ours.encode("casa").tolist()) == theirs("casa").input_ids
    assert ours.begin([]) == ([theirs.bos_token_id] if style == "llama3" else [theirs.eos_token_id])
    assert (ours.imported.begin_id, ours.imported.pad_id) == (theirs.bos_token_id, theirs.pad_token_id)
    assert ours.chat_template == "{{ messages[0]['content'] }}"


@pytest.mark.parametrize("style", STYLES)
def test_what_is_written_is_read_back_here_and_by_transformers(folders, style, tmp_path):
    ours = of_parts(read_parts(folders[style]))
    assert not is_imported(folders[style])
    with pytest.raises(ModelMismatch):
        read_tokenizer_json(folders[style] / "tokenizer.json")
    write_tokenizer_files(ours, tmp_path)
    assert is_imported(tmp_path)
    assert read_tokenizer_json(tmp_path / "tokenizer.json") == ours
    first, again = AutoTokenizer.from_pretrained(folders[style]), AutoTokenizer.from_pretrained(tmp_path)
    for text in STORIES[:5]:
        assert again(text).input_ids == first(text).input_ids
    assert (again.bos_token, again.eos_token, again.pad_token) == (first.bos_token, first.eos_token, first.pad_token)
    assert again.chat_template == first.chat_template


def test_a_bos_that_only_the_settings_ask_for_is_given(folders, tmp_path):
    settings = json.loads((folders["smollm"] / "tokenizer_config.json").read_text())
    tree = json.loads((folders["smollm"] / "tokenizer.json").read_text())
    ours = of_parts(take_parts(tree, settings | {"add_bos_token": True}, "", tmp_path))
    assert ours.begin([7]) == [1, 7]
    write_tokenizer_files(ours, tmp_path)
    assert AutoTokenizer.from_pretrained(tmp_path)("casa").input_ids == [1, *ours.encode("casa").tolist()]


def test_rows_that_a_model_has_beyond_its_tokenizer_get_names(folders):
    plain = of_parts(read_parts(folders["smollm"]))
    padded = of_parts(read_parts(folders["smollm"], 512))
    assert plain.vocab_size < padded.vocab_size == 512
    assert padded.tokens[: plain.vocab_size] == plain.tokens
    names = padded.show(range(plain.vocab_size, 512))
    assert len(set(names)) == len(names)
    assert all(is_unused(name) for name in names)
    assert padded.encode(STORIES[0]).tolist() == plain.encode(STORIES[0]).tolist()
    assert of_parts(read_parts(folders["smollm"], plain.vocab_size)) == plain


@pytest.mark.parametrize("rows", [8, 449, 450, 451, 455, 450 // 8 * 8 + 8 + MOST_UNUSED])
def test_a_tokenizer_of_another_size_is_refused(folders, rows):
    if rows == of_parts(read_parts(folders["smollm"])).vocab_size:
        return
    with pytest.raises(ModelMismatch, match=rf"tokenizer and model disagree; expected {rows} tokens; got 4\d\d"):
        read_parts(folders["smollm"], rows)


def edit(tree, **changes):
    return tree | {name: change(tree[name]) if callable(change) else change for name, change in changes.items()}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"model": {"type": "Unigram", "vocab": []}}, "a Unigram model"),
        ({"model": lambda m: m | {"byte_fallback": True}}, "no token for the byte 0"),
        ({"model": lambda m: m | {"dropout": 0.1}}, "dropout = 0.1"),
        ({"model": lambda m: m | {"end_of_word_suffix": "</w>"}}, "end_of_word_suffix = '</w>'"),
        ({"normalizer": {"type": "Lowercase"}}, "the normalizer Lowercase"),
        ({"pre_tokenizer": None}, "words that are not made of bytes"),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "words that are not made of bytes"),
        ({"pre_tokenizer": lambda p: {"type": "ByteLevel", "add_prefix_space": True}}, "with a space added"),
        ({"decoder": {"type": "WordPiece"}}, "a decoder that is not ByteLevel"),
        ({"decoder": None}, "a decoder that is not ByteLevel"),
        ({"post_processor": {"type": "BertProcessing"}}, "the post-processor BertProcessing"),
        (
            {
                "post_processor": {
                    "type": "TemplateProcessing",
                    "single": [{"Sequence": {}}, {"SpecialToken": {"id": "x"}}],
                }
            },
            "a token added at the end of each text",
        ),
    ],
)
def test_what_is_not_byte_level_bpe_is_refused_by_name(folders, changes, told):
    tree = edit(json.loads((folders["smollm"] / "tokenizer.json").read_text()), **changes)
    with pytest.raises(
        ModelMismatch, match="not a tokenizer that dozero takes; expected BPE of bytes or of SentencePiece; got"
    ) as caught:
        take_parts(tree, {"eos_token": "<|im_end|>"}, "", Path("t"))
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: [], "TypeError"),
        (lambda t: {}, "KeyError"),
        (lambda t: t | {"added_tokens": [{"id": 0}]}, "KeyError"),
        (lambda t: with_added(t, ["<|im_end|>"], special=True), "two ids for '<|im_end|>'"),
        (
            lambda t: t | {"added_tokens": [*t["added_tokens"], {"id": 999, "content": "<|x|>", "special": True}]},
            "a gap",
        ),
        (lambda t: edit(t, model=lambda m: m | {"vocab": m["vocab"] | {"日": len(m["vocab"])}}), "KeyError"),
    ],
)
def test_a_tree_that_does_not_hang_together_is_told_in_one_line(folders, change, told):
    tree = change(json.loads((folders["smollm"] / "tokenizer.json").read_text()))
    with pytest.raises(ModelMismatch, match="tokenizer cannot be read") as caught:
        take_parts(tree, {"eos_token": "<|im_end|>"}, "", Path("t"))
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_merges_of_tokens_that_there_are_not_are_told_when_the_library_opens_it(folders):
    tree = json.loads((folders["smollm"] / "tokenizer.json").read_text())
    broken = edit(tree, model=lambda m: m | {"merges": [["a", "no such token"]]})
    with pytest.raises(ModelMismatch, match=r"tokenizer cannot be read .*no such token"):
        of_parts(take_parts(broken, {"eos_token": "<|im_end|>"}, "", Path("t"))).encode("casa")


def test_a_folder_without_an_end_or_a_tokenizer_is_told(folders, tmp_path):
    tree = json.loads((folders["smollm"] / "tokenizer.json").read_text())
    with pytest.raises(ModelMismatch, match="no eos_token among the special tokens"):
        take_parts(tree, {"eos_token": "casa"}, "", tmp_path)
    with pytest.raises(ModelMismatch, match="tokenizer cannot be read"):
        read_parts(tmp_path)
    (tmp_path / "tokenizer.json").write_text(json.dumps(tree))
    (tmp_path / "tokenizer_config.json").write_text("[]")
    with pytest.raises(ModelMismatch, match=r"tokenizer_config\.json is not a table"):
        read_parts(tmp_path)
