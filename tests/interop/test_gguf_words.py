"""A tokenizer told to llama.cpp cuts text there as it does here, and comes back the same."""

from dataclasses import replace
from pathlib import Path

import gguf
import pytest

from dozero.errors import ModelMismatch
from dozero.interop.engines import LlamaCppEngine
from dozero.interop.gguf_export import write_gguf
from dozero.interop.gguf_words import SPLITS, metadata_of, tokenizer_of, words_in, words_of
from dozero.model.transformer import Transformer
from dozero.settings import ModelConfig
from dozero.tokenizer.files import of_parts
from dozero.tokenizer.imported import read_parts, take_parts
from dozero.tokenizer.tokenizer import tree_of

WHERE = Path("t.gguf")
RULES = {
    "smollm": "smollm",
    "qwen2": "qwen2",
    "llama3": "llama-bpe",
    "gpt2": "gpt-2",
    "pieces": "default",
    "pieces of old": "default",
}


@pytest.fixture(scope="module")
def tokenizers_of_all(others, ours, tmp_path_factory):
    """Ours of both kinds and those of others, by style."""
    made = {kind: ours(kind=kind).tokenizer for kind in ("char", "bpe")}
    for style in others.styles:
        folder = tmp_path_factory.mktemp(style)
        others.write_tokenizer(style, folder, others.chatml)
        made[style] = of_parts(read_parts(folder))
    return made


STYLES = ("char", "bpe", "smollm", "qwen2", "llama3", "gpt2", "pieces", "pieces of old")


@pytest.mark.parametrize("style", STYLES)
def test_llama_cpp_cuts_text_into_the_same_tokens(style, tokenizers_of_all, others, tmp_path):
    tokenizer = tokenizers_of_all[style]
    model = others.randomized(_model_for(tokenizer))
    write_gguf(model, tokenizer, tmp_path / "m.gguf", "f32")
    texts = others.stories[:10] + list(others.texts) if style != "char" else ["coração", "mãe 日本 a b.", "  a"]
    if style == "pieces":  # a space before it counts there for the one that SentencePiece and llama.cpp put on top
        texts = [text for text in texts if not text.startswith(" ")]
    with LlamaCppEngine.open(tmp_path / "m.gguf", tokenizer, 256) as engine:
        for text in texts:
            assert engine.encode(text) == tokenizer.encode(text).tolist(), text
            begun = engine._ask("/tokenize", content=text, add_special=True, parse_special=False)["tokens"]
            assert begun == tokenizer.begin(tokenizer.encode(text).tolist())


def _model_for(tokenizer):
    return Transformer(
        ModelConfig(d_model=32, n_layers=1, n_heads=2, n_kv_heads=1, head_dim=16, d_ff=32), tokenizer.vocab_size
    )


@pytest.mark.parametrize("style", STYLES)
def test_what_a_gguf_tells_is_the_same_tokenizer_again(style, tokenizers_of_all, others):
    tokenizer = tokenizers_of_all[style]
    again = tokenizer_of(words_in(metadata_of(words_of(tokenizer)), WHERE), WHERE)
    if tokenizer.imported is None:
        assert again == tokenizer
        return
    assert (again.tokens, again.specials, again.special_ids) == (
        tokenizer.tokens,
        tokenizer.specials,
        tokenizer.special_ids,
    )
    assert (again.end_id, again.begin_ids, again.chat_template) == (
        tokenizer.end_id, tokenizer.begin_ids, tokenizer.chat_template,
    )  # fmt: skip
    for text in (*others.stories[:20], *others.texts):
        if style != "pieces" or not text.startswith(" "):
            assert again.encode(text).tolist() == tokenizer.encode(text).tolist()


@pytest.mark.parametrize("style", RULES)
def test_the_rule_of_each_family_has_its_name_in_llama_cpp(style, tokenizers_of_all):
    assert words_of(tokenizers_of_all[style]).pre == RULES[style]


def test_kinds_of_tokens_are_those_of_the_package(tokenizers_of_all):
    kinds = gguf.TokenType
    words = words_of(tokenizers_of_all["qwen2"])
    by_name = dict(zip(words.names, words.kinds, strict=True))
    assert by_name["<|im_end|>"] == kinds.CONTROL
    assert by_name["<think>"] == kinds.USER_DEFINED
    assert by_name["a"] == kinds.NORMAL
    padded = of_parts(take_parts(tree_of(tokenizers_of_all["qwen2"]), {"eos_token": "<|im_end|>"}, "", WHERE, 512))
    assert words_of(padded).kinds[-1] == kinds.UNUSED


def test_a_rule_without_a_name_is_refused_before_llama_cpp_cuts_otherwise(tokenizers_of_all):
    tree = tree_of(tokenizers_of_all["smollm"])
    split = {"type": "Split", "pattern": {"Regex": r"\w+|\W"}, "behavior": "Isolated", "invert": False}
    last = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}
    tree["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, last]}
    odd = of_parts(take_parts(tree, {"eos_token": "<|im_end|>"}, "", WHERE))
    with pytest.raises(ModelMismatch, match=r"text is cut by a rule that llama\.cpp has no name for here"):
        words_of(odd)


def test_an_altered_tokenizer_of_ours_is_taken_as_one_of_others(tokenizers_of_all):
    words = words_of(tokenizers_of_all["bpe"])
    names = [*words.names]
    names[-1], names[-2] = names[-2], names[-1]
    assert tokenizer_of(words, WHERE).imported is None
    assert tokenizer_of(replace(words, names=names), WHERE).imported is not None


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"model": "bert"}, "not a tokenizer that dozero takes; expected gpt2 or llama; got bert"),
        ({"model": "llama"}, "a tokenizer with parts missing"),
        ({"model": None}, "not a tokenizer that dozero takes"),
        ({"pre": "mystery"}, f"text is cut by a rule not known here; expected {', '.join(SPLITS)}.*; got mystery"),
        ({"eos_token_id": 10**6}, "special tokens that there are not; got bos 1, eos 1000000"),
        ({"bos_token_id": -1}, "special tokens that there are not"),
        ({"eos_token_id": None}, "special tokens that there are not"),
        ({"token_type": [1]}, "a tokenizer with parts missing"),
        ({"merges": None}, "a tokenizer with parts missing"),
        ({"merges": ["a", "b"]}, "a merge of tokens that there are not; got a"),
        ({"merges": ["q zzz"]}, "a merge of tokens that there are not; got q zzz"),
        ({"tokens": []}, "special tokens that there are not"),
    ],
)
def test_words_that_do_not_hang_together_are_refused(change, told, tokenizers_of_all):
    metadata = metadata_of(words_of(tokenizers_of_all["smollm"]))
    changed = metadata | {f"tokenizer.ggml.{key}": value for key, value in change.items()}
    with pytest.raises(ModelMismatch, match=told):
        tokenizer_of(words_in(changed, WHERE), WHERE)
