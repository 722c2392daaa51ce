"""A tokenizer as GGUF tells it: words, kinds of words, merges, and by which rule text is cut, by its name in llama.cpp."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dozero.errors import DataError, ModelMismatch
from dozero.interop.gguf_pieces import (
    BYTE,
    CONTROL,
    NORMAL,
    UNKNOWN,
    UNUSED,
    USER_DEFINED,
    scores_of,
    tree_of_pieces,
)
from dozero.tokenizer.bpe import PATTERN
from dozero.tokenizer.files import of_parts
from dozero.tokenizer.imported import is_unused, take_parts
from dozero.tokenizer.pieces import is_of_pieces, puts_space_first
from dozero.tokenizer.stand_in import bytes_of
from dozero.tokenizer.tokenizer import Tokenizer, bpe_tokenizer, is_character, train_char_tokenizer, tree_of

# The rules for cutting text that we can tell llama.cpp by name, and their pieces in a tokenizer.json. The two of Qwen
# differ in how they write "any case"; both stand for one rule.
_LLAMA3 = PATTERN.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
_TEKKEN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPLITS = {"qwen2": PATTERN, "llama-bpe": _LLAMA3, "tekken": _TEKKEN}
_SAME_RULE = {"llama3": "llama-bpe", "llama-v3": "llama-bpe", "deepseek-r1-qwen": "qwen2"}
_MADE_BY = "dozero.tokenizer.kind"


@dataclass(frozen=True)
class Words:
    """What stands in a GGUF under tokenizer.*."""

    pre: str
    names: list[str]
    kinds: list[int]
    merges: list[str]
    end_id: int
    begin_id: int | None
    pad_id: int
    adds_begin: bool
    chat_template: str = ""
    made_as: str = ""
    """char or bpe, when it was ours."""
    scores: Sequence[float] = ()
    """Of a SentencePiece tokenizer, in place of merges."""
    puts_space_first: bool = False
    """Whether such a one puts a space before a text."""


def words_of(tokenizer: Tokenizer) -> Words:
    """Return a tokenizer as GGUF tells it; ModelMismatch when llama.cpp has no name for how it cuts text."""
    tree = tree_of(tokenizer)
    vocab = {i: name for name, i in tree["model"]["vocab"].items()}
    names, kinds = [], []
    added = {token["id"]: token for token in tree["added_tokens"]}
    for i in range(tokenizer.vocab_size):
        token = added.get(i)
        names.append(token["content"] if token else vocab[i])
        kinds.append(NORMAL if token is None else _kind_of(token))
    its = tokenizer.imported
    if its is not None and is_of_pieces(tree):
        kinds = [_kind_of_piece(tree, name, kind) for name, kind in zip(names, kinds, strict=True)]
        return Words(
            "default", names, kinds, [], tokenizer.end_id, its.begin_id, its.pad_id, bool(tokenizer.begin_ids),
            tokenizer.chat_template, "", scores_of(tree, names), puts_space_first(tree),
        )  # fmt: skip
    merges = [m if isinstance(m, str) else " ".join(m) for m in tree["model"]["merges"]]
    if not merges:  # llama.cpp wants some: this one joins what text never holds
        merges = [f"{names[tokenizer.end_id]} {names[tokenizer.end_id]}"]
    begin = its.begin_id if its else tokenizer.end_id
    return Words(
        _rule_of(tree), names, kinds, merges, tokenizer.end_id, begin, its.pad_id if its else tokenizer.end_id,
        bool(tokenizer.begin_ids), tokenizer.chat_template,
        "" if its else "char" if tokenizer.merges is None else "bpe",
    )  # fmt: skip


def _kind_of(token: Mapping[str, Any]) -> int:
    if is_unused(token["content"]):
        return UNUSED
    return CONTROL if token["special"] else USER_DEFINED


def _kind_of_piece(tree: Mapping[str, Any], name: str, kind: int) -> int:
    if name == tree["model"].get("unk_token"):
        return UNKNOWN
    return BYTE if kind == NORMAL and re.fullmatch(r"<0x[0-9A-F]{2}>", name) else kind


def _rule_of(tree: Mapping[str, Any]) -> str:
    """Return llama.cpp's name of how text is cut into words before they are merged."""
    pre = tree["pre_tokenizer"]
    parts = pre["pretokenizers"] if pre["type"] == "Sequence" else [pre]
    kinds = [part["type"] for part in parts]
    last_cuts = parts[-1].get("use_regex", True)
    if kinds == ["ByteLevel"]:
        return "gpt-2" if last_cuts else "qwen2"  # ours of characters: no merge reaches over a cut, whatever the rule
    if kinds == ["Digits", "ByteLevel"] and last_cuts and parts[0]["individual_digits"]:
        return "smollm"
    if kinds == ["Split", "ByteLevel"] and not last_cuts:
        pattern = _plain(parts[0]["pattern"].get("Regex", ""))
        if rule := next((name for name, split in SPLITS.items() if _plain(split) == pattern), None):
            return rule
    raise ModelMismatch("text is cut by a rule that llama.cpp has no name for here", got=json.dumps(pre)[:200])


def _plain(pattern: str) -> str:
    """Return a pattern with the two ways of writing an English contraction in any case made one."""
    for letters in ("s", "t", "re", "ve", "m", "ll", "d"):
        spelled = "".join(f"[{c}{c.upper()}]" for c in letters)
        pattern = pattern.replace(f"'{spelled}", f"'{letters}")
    return pattern.replace("(?i:", "(?:").replace("'s|'t|'re|'ve|'m|'d|'ll", "'s|'t|'re|'ve|'m|'ll|'d")


def tokenizer_of(words: Words, where: Path) -> Tokenizer:
    """Return the tokenizer that a GGUF tells: our own if it was, else an imported one."""
    return _ours(words) or of_parts(
        take_parts(_tree_of(words, where), _settings_of(words), words.chat_template, where, len(words.names))
    )


def _ours(words: Words) -> Tokenizer | None:
    """Return the tokenizer of ours that these words were, if they still are its words."""
    specials = tuple(name for name, kind in zip(words.names, words.kinds, strict=True) if kind == CONTROL)
    try:
        if words.made_as == "bpe":
            ids = {name: i for i, name in enumerate(words.names)}
            pairs = (merge.split(" ") for merge in words.merges)
            made = bpe_tokenizer([(ids[left], ids[right]) for left, right in pairs], specials)
        elif words.made_as == "char":
            tokens = {bytes_of(name) for name in words.names[len(specials) :]}
            made = train_char_tokenizer([b"".join(t for t in tokens if is_character(t)).decode()])
        else:
            return None
    except (KeyError, ValueError, IndexError, DataError):
        return None
    return replace(made, chat_template=words.chat_template) if words_of(made).names == words.names else None


def _tree_of(words: Words, where: Path) -> dict[str, Any]:
    """Return the tokenizer.json that these words would have had."""
    if words.scores:
        return tree_of_pieces(words.names, words.kinds, words.scores, puts_space_first=words.puts_space_first)
    rule = _SAME_RULE.get(words.pre, words.pre)
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    if rule in SPLITS:
        split = {"type": "Split", "pattern": {"Regex": SPLITS[rule]}, "behavior": "Isolated", "invert": False}
        pre: dict[str, Any] = {"type": "Sequence", "pretokenizers": [split, {**byte_level, "use_regex": False}]}
    elif rule == "smollm":
        pre = {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level]}
    elif rule == "gpt-2":
        pre = byte_level
    else:
        known = ", ".join((*SPLITS, "smollm", "gpt-2"))
        raise ModelMismatch("text is cut by a rule not known here", where=where, expected=known, got=words.pre)
    added = [
        {"id": i, "content": name, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
         "special": kind != USER_DEFINED}
        for i, (name, kind) in enumerate(zip(words.names, words.kinds, strict=True)) if kind != NORMAL
    ]  # fmt: skip
    normal = {name: i for i, (name, kind) in enumerate(zip(words.names, words.kinds, strict=True)) if kind == NORMAL}
    model: dict[str, Any] = {
        "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
        "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": rule == "llama-bpe",
        "vocab": _with_leading(normal, added), "merges": _pairs(words.merges, normal, where),
    }  # fmt: skip
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
        "pre_tokenizer": pre, "post_processor": None, "decoder": byte_level, "model": model,
    }  # fmt: skip


def _with_leading(normal: Mapping[str, int], added: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Return the words and those added tokens that stand among them: the library numbers only the others by itself."""
    last = max(normal.values(), default=-1)
    return dict(
        sorted([*normal.items(), *((t["content"], t["id"]) for t in added if t["id"] < last)], key=lambda e: e[1])
    )


def _pairs(merges: Sequence[str], known: Mapping[str, int], where: Path) -> list[list[str]]:
    pairs = [merge.split(" ") for merge in merges]
    for pair in pairs:
        if len(pair) != 2 or pair[0] not in known or pair[1] not in known or pair[0] + pair[1] not in known:
            raise ModelMismatch("a merge of tokens that there are not", where=where, got=" ".join(pair)[:80])
    return pairs


def _settings_of(words: Words) -> dict[str, Any]:
    """Return what the tokenizer_config.json would have said."""
    names = words.names
    begin = {} if words.begin_id is None else {"bos_token": names[words.begin_id]}
    roles = {"eos_token": names[words.end_id], "pad_token": names[words.pad_id], "add_bos_token": words.adds_begin}
    return begin | roles


def metadata_of(words: Words) -> dict[str, Any]:
    """Return the keys of a GGUF that tell these words, with their values."""
    keys: dict[str, Any] = {
        "model": "llama" if words.scores else "gpt2",
        "pre": words.pre,
        "tokens": words.names,
        "token_type": words.kinds,
        **({"scores": list(words.scores)} if words.scores else {"merges": words.merges}),
        "eos_token_id": words.end_id,
        "padding_token_id": words.pad_id,
        "add_bos_token": words.adds_begin,
    }
    if words.begin_id is not None:
        keys["bos_token_id"] = words.begin_id
    if words.scores:
        keys["add_space_prefix"] = words.puts_space_first
        keys |= {"unknown_token_id": words.kinds.index(UNKNOWN)} if UNKNOWN in words.kinds else {}
    more = {"tokenizer.chat_template": words.chat_template, _MADE_BY: words.made_as}
    return {f"tokenizer.ggml.{k}": v for k, v in keys.items()} | {k: v for k, v in more.items() if v}


def words_in(metadata: Mapping[str, Any], where: Path) -> Words:
    """Return the words that the keys of a GGUF tell; ModelMismatch for another kind of tokenizer."""

    def get(key: str, default: Any = None) -> Any:
        return metadata.get(f"tokenizer.ggml.{key}", default)

    if get("model") not in ("gpt2", "llama"):
        raise ModelMismatch(
            "not a tokenizer that dozero takes", where=where, expected="gpt2 or llama", got=get("model")
        )
    of_scores = get("model") == "llama"  # what such a file leaves unsaid is what llama.cpp takes
    names = get("tokens", [])
    begin, end = get("bos_token_id", 1 if of_scores else None), get("eos_token_id", 2 if of_scores else None)
    pad = get("padding_token_id", end)
    if any(i is not None and not 0 <= i < len(names) for i in (begin, pad)) or end is None or not 0 <= end < len(names):
        raise ModelMismatch("special tokens that there are not", where=where, got=f"bos {begin}, eos {end}, pad {pad}")
    kinds = get("token_type") or [NORMAL] * len(names)
    scores = get("scores", []) if of_scores else []
    if len(kinds) != len(names) or (len(scores) != len(names) if of_scores else get("merges") is None):
        raise ModelMismatch("a tokenizer with parts missing", where=where)
    return Words(
        str(get("pre", "default")), names, kinds, get("merges", []), end, begin, pad,
        bool(get("add_bos_token", of_scores)) and begin is not None, str(metadata.get("tokenizer.chat_template", "")),
        str(metadata.get(_MADE_BY, "")), scores, bool(get("add_space_prefix", True)),
    )  # fmt: skip
