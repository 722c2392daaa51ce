"""SentencePiece's BPE as a tokenizer.json has it (Llama 2, the first Mistrals): a space is a letter, ▁, of its own.

Text gets a ▁ before it, and its letters are merged, over spaces too if need be; a letter without a token becomes the
tokens of its bytes, <0xE2> and so on. So the tokens of a whole text begin with a space that the text did not have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

SPACE = "▁"
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")


def is_of_pieces(tree: Mapping[str, Any]) -> bool:
    """Return whether a tokenizer.json is of this kind."""
    return bool(tree["model"].get("byte_fallback"))


def bytes_of_piece(name: str) -> bytes:
    r"""Return the bytes that a token stands for.

    >>> bytes_of_piece("▁maçã").decode(), bytes_of_piece("<0x0A>")
    (' maçã', b'\n')
    """
    byte = _BYTE.fullmatch(name)
    return bytes([int(byte[1], 16)]) if byte else name.replace(SPACE, " ").encode()


def puts_space_first(tree: Mapping[str, Any]) -> bool:
    """Return whether a text gets a space before it."""
    normal = tree.get("normalizer")
    before = tree.get("pre_tokenizer")
    return any(p["type"] == "Prepend" for p in flat(normal, "normalizers")) or any(
        p.get("prepend_scheme", "always") != "never" for p in flat(before, "pretokenizers")
    )


def unknown_in_pieces(tree: Mapping[str, Any]) -> Iterator[str]:
    """Yield what in such a tokenizer.json is not as we know it."""
    if missing := [b for b in range(256) if f"<0x{b:02X}>" not in tree["model"]["vocab"]]:
        yield f"no token for the byte {missing[0]}"
    for part in flat(tree.get("normalizer"), "normalizers"):
        is_prepend = part["type"] == "Prepend" and part["prepend"] == SPACE
        is_space = part["type"] == "Replace" and (part["pattern"], part["content"]) == ({"String": " "}, SPACE)
        if not (is_prepend or is_space):
            yield f"the normalizer {part['type']}"
    for part in flat(tree.get("pre_tokenizer"), "pretokenizers"):
        if part["type"] != "Metaspace" or part["replacement"] != SPACE or part.get("split", True):
            yield f"the pre-tokenizer {part['type']}"
    for part in flat(tree.get("decoder"), "decoders"):
        is_space = part["type"] == "Replace" and (part["pattern"], part["content"]) == ({"String": SPACE}, " ")
        if not (is_space or part["type"] in ("ByteFallback", "Fuse", "Strip", "Metaspace")):
            yield f"the decoder {part['type']}"


def flat(part: Mapping[str, Any] | None, inside: str) -> Iterator[Mapping[str, Any]]:
    """Yield a part of a tokenizer.json, or those that a sequence of it holds."""
    if part is None:
        return
    if part["type"] == "Sequence":
        for one in part[inside]:
            yield from flat(one, inside)
    else:
        yield part
