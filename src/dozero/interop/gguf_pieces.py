"""A SentencePiece tokenizer as GGUF tells it: no merges but a score for each token, the higher the sooner merged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dozero.tokenizer.pieces import SPACE

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6


def scores_of(tree: Mapping[str, Any], names: Sequence[str]) -> list[float]:
    """Return the score of each token: the sooner its merge was learned the higher, and below all merges the letters."""
    pairs = [merge.split(" ") if isinstance(merge, str) else merge for merge in tree["model"]["merges"]]
    rank: dict[str, int] = {}
    for i, (left, right) in enumerate(pairs):
        rank.setdefault(left + right, i)
    return [-float(rank.get(name, len(pairs) + i)) for i, name in enumerate(names)]


def merges_of(names: Sequence[str], kinds: Sequence[int], scores: Sequence[float]) -> list[list[str]]:
    """Return the merges that scores stand for: whatever two tokens make a third, the third with the highest score first.

    >>> merges_of(["a", "b", "ab", "aba"], [1, 1, 1, 1], [0, 0, -1, -2])
    [['a', 'b'], ['ab', 'a']]
    """
    ids = {name: i for i, name in enumerate(names) if kinds[i] == NORMAL}
    made = [
        (-scores[i], ids[name[:at]], ids[name[at:]])
        for name, i in ids.items() for at in range(1, len(name)) if name[:at] in ids and name[at:] in ids
    ]  # fmt: skip
    return [[names[left], names[right]] for _, left, right in sorted(made)]


def tree_of_pieces(
    names: Sequence[str], kinds: Sequence[int], scores: Sequence[float], *, puts_space_first: bool
) -> dict[str, Any]:
    """Return the tokenizer.json that such a tokenizer would have had."""
    special = (CONTROL, UNKNOWN, UNUSED)
    unknown = next((name for name, kind in zip(names, kinds, strict=True) if kind == UNKNOWN), None)
    added = [
        {"id": i, "content": name, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
         "special": kind in special}
        for i, (name, kind) in enumerate(zip(names, kinds, strict=True)) if kind in (*special, USER_DEFINED)
    ]  # fmt: skip
    normal: list[dict[str, Any]] = [{"type": "Replace", "pattern": {"String": " "}, "content": SPACE}]
    back: list[dict[str, Any]] = [
        {"type": "Replace", "pattern": {"String": SPACE}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
    ]  # fmt: skip
    if puts_space_first:
        normal.insert(0, {"type": "Prepend", "prepend": SPACE})
        back.append({"type": "Strip", "content": " ", "start": 1, "stop": 0})
    model: dict[str, Any] = {
        "type": "BPE", "dropout": None, "unk_token": unknown, "continuing_subword_prefix": None,
        "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True, "ignore_merges": False,
        "vocab": {name: i for i, name in enumerate(names)}, "merges": merges_of(names, kinds, scores),
    }  # fmt: skip
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
        "normalizer": {"type": "Sequence", "normalizers": normal}, "pre_tokenizer": None, "post_processor": None,
        "decoder": {"type": "Sequence", "decoders": back}, "model": model,
    }  # fmt: skip
