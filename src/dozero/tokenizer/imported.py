"""A tokenizer that others made: which ones we take, and what their files say of it.

We take BPE, of bytes or of SentencePiece, whatever its words, merges and special tokens are: the library `tokenizers`
runs it from the tokenizer.json as it came. What is not known to be harmless is refused by name. A folder says that an import looked at
its tokenizer by a mark in tokenizer_config.json; without the mark only tokenizers of our own making are opened.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dozero.errors import ModelMismatch
from dozero.tokenizer.pieces import bytes_of_piece, flat, is_of_pieces, unknown_in_pieces
from dozero.tokenizer.stand_in import bytes_of

SETTINGS = "tokenizer_config.json"
CHAT_TEMPLATE = "chat_template.jinja"
MARK = {"imported_by": "dozero"}
_UNUSED = "<|unused_"
MOST_UNUSED = 512  # rows that a model has beyond its tokenizer, to make their number round


@dataclass(frozen=True)
class Imported:
    """A tokenizer.json of others as text, and what some of its tokens are for."""

    tree: str
    special_ids: tuple[int, ...]
    end_id: int
    """Ends a text (eos)."""
    begin_id: int | None
    """Begins a text (bos), where the model was trained with one."""
    pad_id: int
    adds_begin: bool
    """Whether text is given begin_id by itself, as when the model was trained."""


@dataclass(frozen=True)
class Parts:
    """What a Tokenizer is made of."""

    tokens: tuple[bytes, ...]
    specials: tuple[str, ...]
    imported: Imported
    chat_template: str = ""


def is_imported(folder: Path) -> bool:
    """Return whether an import vouched for the tokenizer of a folder."""
    try:
        settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(settings, dict) and MARK.items() <= settings.items()


def read_parts(folder: Path, vocab_size: int | None = None) -> Parts:
    """Return the tokenizer of a folder; with `vocab_size`, unused tokens are added up to it.

    ModelMismatch says what is missing, or what of it is unknown here.
    """
    file = folder / "tokenizer.json"
    try:
        tree = json.loads(file.read_text(encoding="utf-8"))
        settings = _read_settings(folder)
        chat = folder / CHAT_TEMPLATE
        template = chat.read_text(encoding="utf-8") if chat.is_file() else settings.get("chat_template")
    except (OSError, ValueError) as error:
        raise ModelMismatch(f"tokenizer cannot be read ({error})", where=file) from None
    return take_parts(tree, settings, str(template or ""), file, vocab_size)


def _read_settings(folder: Path) -> dict[str, Any]:
    file = folder / SETTINGS
    tree = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    if not isinstance(tree, dict):
        raise ValueError(f"{SETTINGS} is not a table")
    return tree


def take_parts(
    tree: Any, settings: Mapping[str, Any], template: str, where: Path, vocab_size: int | None = None
) -> Parts:
    """Return the tokenizer of the trees of tokenizer.json and tokenizer_config.json, if it is one that we take."""
    try:
        if not isinstance(tree, dict):
            raise TypeError("not a table")
        odd = next(_unknown_parts(tree), None)
        if odd is None:
            tree = {**tree, "truncation": None, "padding": None}
            if vocab_size is not None:
                tree = with_unused(tree, vocab_size, where)
            return _parts_of(tree, settings, template)
    except (KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
        raise ModelMismatch(f"tokenizer cannot be read ({error!r})", where=where) from None
    raise ModelMismatch(
        "not a tokenizer that dozero takes", where=where, expected="BPE of bytes or of SentencePiece", got=odd
    )


def _unknown_parts(tree: Mapping[str, Any]) -> Iterator[str]:
    """Yield what in a tokenizer.json is not BPE as we know it."""
    model = tree["model"]
    if model.get("type", "BPE") != "BPE":
        yield f"a {model['type']} model"
    for name in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(name):
            yield f"{name} = {model[name]!r}"
    yield from unknown_in_pieces(tree) if is_of_pieces(tree) else _unknown_in_bytes(tree)
    for part in flat(tree.get("post_processor"), "processors"):
        if part["type"] not in ("ByteLevel", "TemplateProcessing"):
            yield f"the post-processor {part['type']}"
        elif part["type"] == "TemplateProcessing" and [*part["single"]][-1].get("Sequence") is None:
            yield "a token added at the end of each text"


def _unknown_in_bytes(tree: Mapping[str, Any]) -> Iterator[str]:
    """Yield what in a tokenizer.json whose words are made of bytes is not as we know it."""
    for part in flat(tree.get("normalizer"), "normalizers"):
        if part["type"] not in ("NFC", "NFD", "NFKC", "NFKD"):
            yield f"the normalizer {part['type']}"
    pre = list(flat(tree.get("pre_tokenizer"), "pretokenizers"))
    if not pre or pre[-1]["type"] != "ByteLevel":
        yield "words that are not made of bytes"
    for part in pre:
        if part["type"] not in ("ByteLevel", "Split", "Digits") or part.get("add_prefix_space"):
            yield f"the pre-tokenizer {part['type']}" + (" with a space added" if part.get("add_prefix_space") else "")
    if any(part["type"] != "ByteLevel" for part in flat(tree.get("decoder"), "decoders")) or not tree.get("decoder"):
        yield "a decoder that is not ByteLevel"


def _parts_of(tree: dict[str, Any], settings: Mapping[str, Any], template: str) -> Parts:
    special = {int(t["id"]): str(t["content"]) for t in tree["added_tokens"] if t["special"]}
    plain = {int(t["id"]): str(t["content"]) for t in tree["added_tokens"] if not t["special"]}
    vocab = {str(name): int(i) for name, i in tree["model"]["vocab"].items()}
    added = {name: i for i, name in (special | plain).items()}
    if clash := next((name for name, i in added.items() if vocab.get(name, i) != i), None):
        raise ValueError(f"two ids for {clash!r}")
    of_id = {i: name for name, i in (vocab | added).items()}
    if sorted(of_id) != list(range(len(of_id))):
        raise ValueError("ids with a gap")
    bytes_by_id = dict.fromkeys(special, b"") | {i: name.encode() for i, name in plain.items()}
    read = bytes_of_piece if is_of_pieces(tree) else bytes_of
    tokens = tuple(bytes_by_id[i] if i in bytes_by_id else read(of_id[i]) for i in range(len(of_id)))
    begin = _named(settings, "bos_token", added)
    end = _named(settings, "eos_token", added)
    if end is None:
        raise ValueError("no eos_token among the special tokens")
    adds_begin = _template_begins_with(tree)
    if adds_begin is None and settings.get("add_bos_token") and begin is not None:
        tree, adds_begin = _with_begin(tree, of_id[begin], begin), begin
    pad = _named(settings, "pad_token", added)
    imported = Imported(
        json.dumps(tree, ensure_ascii=False), tuple(sorted(special)), end,
        begin if adds_begin is None else adds_begin, end if pad is None else pad, adds_begin is not None,
    )  # fmt: skip
    return Parts(tokens, tuple(special[i] for i in sorted(special)), imported, template)


def _named(settings: Mapping[str, Any], role: str, added: Mapping[str, int]) -> int | None:
    """Return the id of the token that a role names; its name stands alone or in a table with flags."""
    name = settings.get(role)
    return added.get(str(name["content"] if isinstance(name, Mapping) else name))


def _template_begins_with(tree: Mapping[str, Any]) -> int | None:
    """Return the id of the special token that the post-processor puts before a text."""
    for part in flat(tree.get("post_processor"), "processors"):
        if part["type"] == "TemplateProcessing" and "SpecialToken" in part["single"][0]:
            (token,) = part["special_tokens"][part["single"][0]["SpecialToken"]["id"]]["ids"]
            return int(token)
    return None


def _with_begin(tree: dict[str, Any], name: str, token: int) -> dict[str, Any]:
    """Return the tree with a post-processor that puts a token before each text."""
    begin: list[dict[str, Any]] = [{"SpecialToken": {"id": name, "type_id": 0}}]
    first, second = ({"Sequence": {"id": which, "type_id": n}} for n, which in enumerate("AB"))
    template = {
        "type": "TemplateProcessing",
        "single": [*begin, first],
        "pair": [*begin, first, second],
        "special_tokens": {name: {"id": name, "ids": [token], "tokens": [name]}},
    }
    return {**tree, "post_processor": template}


def with_unused(tree: dict[str, Any], vocab_size: int, where: Path) -> dict[str, Any]:
    """Return the tree with named tokens for the rows that a model has beyond it; ModelMismatch unless they are few."""
    known = {*tree["model"]["vocab"].values(), *(t["id"] for t in tree["added_tokens"])}
    missing = vocab_size - len(known)
    if missing == 0:
        return tree
    if missing < 0 or missing >= MOST_UNUSED or vocab_size % 8:
        raise ModelMismatch(
            "tokenizer and model disagree", where=where, expected=f"{vocab_size} tokens", got=len(known)
        )
    return with_added(tree, [f"{_UNUSED}{i}|>" for i in range(len(known), vocab_size)], special=True)


def is_unused(name: str) -> bool:
    """Return whether a token only fills a row of the model that its own tokenizer never gives."""
    return name.startswith(_UNUSED)


def with_added(tree: dict[str, Any], names: Sequence[str], *, special: bool) -> dict[str, Any]:
    """Return the tree with more added tokens, their ids after the last."""
    first = 1 + max([*tree["model"]["vocab"].values(), *(t["id"] for t in tree["added_tokens"])])
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": special}
    more = [{"id": first + i, "content": name} | flags for i, name in enumerate(names)]
    return {**tree, "added_tokens": [*tree["added_tokens"], *more]}


def settings_of(parts: Imported, names: Sequence[str]) -> dict[str, Any]:
    """Return what stands in the tokenizer_config.json of an imported tokenizer; `names` are those of its special ids."""
    name = dict(zip(parts.special_ids, names, strict=True))
    added = {t["id"]: t["content"] for t in json.loads(parts.tree)["added_tokens"]} | name
    begin = {} if parts.begin_id is None else {"bos_token": added[parts.begin_id]}
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **begin,
        "eos_token": added[parts.end_id],
        "pad_token": added[parts.pad_id],
        "add_bos_token": parts.adds_begin,
        "clean_up_tokenization_spaces": False,
        **MARK,
    }
