"""A tokenizer: text to ids and back, stored as a Hugging Face `tokenizer.json`.

The only kind so far has a token for each character of its training text. In the file it is a byte-level BPE whose
merges do nothing but build the characters of more than one byte, so transformers and llama.cpp open it as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dozero.artifact import Manifest, open_artifact, write_artifact, write_json
from dozero.errors import DataError, ModelMismatch

END_OF_TEXT = "<|endoftext|>"
END_ID = 0


@dataclass(frozen=True)
class Tokenizer:
    """`tokens[i]` are the bytes of token i. Token 0 starts and ends every document and stands for no bytes."""

    tokens: tuple[bytes, ...]

    @property
    def vocab_size(self) -> int:
        """V: number of tokens."""
        return len(self.tokens)

    @cached_property
    def alphabet(self) -> str:
        """The characters that have a token, in the order of their ids."""
        return "".join(t.decode() for t in self.tokens[1:] if _is_character(t))

    @cached_property
    def _id_of_codepoint(self) -> NDArray[np.int32]:
        table = np.full(0x110000, -1, dtype=np.int32)
        for i, token in enumerate(self.tokens):
            if i and _is_character(token):
                table[ord(token.decode())] = i
        return table

    def encode(self, text: str) -> NDArray[np.int32]:
        """Return one id a character; DataError names characters that have no token."""
        codepoints = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
        ids = self._id_of_codepoint[codepoints]
        if ids.size and ids.min() < 0:
            unknown = "".join(dict.fromkeys(c for c, i in zip(text, ids, strict=True) if i < 0))
            raise DataError(
                "characters that the model never saw",
                expected=f"characters of its alphabet {self.alphabet[:80]!r}",
                got=repr(unknown[:40]),
            )
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of the ids; bytes that are not UTF-8 show as U+FFFD, the end of text as nothing."""
        return b"".join(self.tokens[i] for i in ids).decode("utf-8", errors="replace")

    def show(self, ids: Sequence[int]) -> list[str]:
        """Return a printable name for each id."""
        return [END_OF_TEXT if i == END_ID else self.tokens[i].decode("utf-8", "backslashreplace") for i in ids]


def train_char_tokenizer(texts: Iterable[str]) -> Tokenizer:
    """Return the tokenizer of the characters in `texts`: end of text, then bytes, then longer characters.

    >>> t = train_char_tokenizer(["maçã"])
    >>> [token.decode(errors="replace") for token in t.tokens[1:4]], t.encode("maçã").tolist()
    (['a', 'm', '�'], [2, 1, 7, 6])
    """
    characters = sorted({c for text in texts for c in text})
    if not characters:
        raise DataError("no text to train a tokenizer on")
    encoded = [c.encode() for c in characters]
    single = sorted({bytes([b]) for e in encoded for b in e})
    # Parts of longer characters (all but their last byte, two at least) are tokens too, since merges join two.
    parts = {e[:n] for e in encoded for n in range(2, len(e) + 1)}
    return Tokenizer((b"", *single, *sorted(parts, key=lambda p: (len(p), p))))


def save_tokenizer(tokenizer: Tokenizer, out: Path, manifest: Manifest) -> None:
    """Write a tokenizer folder: tokenizer.json and a manifest."""
    with write_artifact(out, manifest) as folder:
        write_tokenizer_files(tokenizer, folder)


def open_tokenizer(path: Path) -> tuple[Tokenizer, Manifest]:
    """Return the tokenizer of a tokenizer folder, verified, and its manifest."""
    manifest = open_artifact(path, "tokenizer")
    return read_tokenizer_json(path / "tokenizer.json"), manifest


def write_tokenizer_files(tokenizer: Tokenizer, folder: Path) -> None:
    """Write tokenizer.json and tokenizer_config.json, as `AutoTokenizer` reads them."""
    names = [END_OF_TEXT, *(_printable(token) for token in tokenizer.tokens[1:])]
    special = {"id": END_ID, "content": END_OF_TEXT, "special": True}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    merges = [[_printable(t[:-1]), _printable(t[-1:])] for t in tokenizer.tokens if len(t) > 1]
    model: dict[str, Any] = {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": False,
        "vocab": {name: i for i, name in enumerate(names)},
        "merges": merges,
    }
    tree = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [special | flags],
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": model,
    }
    write_json(folder / "tokenizer.json", tree)
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": END_OF_TEXT,
        "eos_token": END_OF_TEXT,
        "pad_token": END_OF_TEXT,
        "clean_up_tokenization_spaces": False,
    }
    write_json(folder / "tokenizer_config.json", settings)


def read_tokenizer_json(file: Path) -> Tokenizer:
    """Return the tokenizer of a tokenizer.json that dozero wrote; ModelMismatch for one it did not."""
    try:
        tree = json.loads(file.read_text(encoding="utf-8"))
        vocab: dict[str, int] = tree["model"]["vocab"]
        special = tree["added_tokens"][0]["content"]
        names = sorted(vocab, key=lambda name: vocab[name])
        tokenizer = Tokenizer((b"", *(_bytes_of(name) for name in names[1:])))
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise ModelMismatch(f"tokenizer cannot be read ({error!r})", where=file) from None
    is_ours = names[:1] == [special] == [END_OF_TEXT] and [vocab[n] for n in names] == list(range(len(names)))
    # Any other tokens would cut text otherwise than `encode` does, and the model would read what it never learned.
    if not is_ours or not tokenizer.alphabet or tokenizer != train_char_tokenizer([tokenizer.alphabet]):
        expected = f"{END_OF_TEXT} as token {END_ID}, then bytes and characters"
        raise ModelMismatch("not a tokenizer of dozero", where=file, expected=expected)
    return tokenizer


def _is_character(token: bytes) -> bool:
    try:
        return len(token.decode()) == 1
    except UnicodeDecodeError:
        return False


def _byte_alphabet() -> dict[int, str]:
    """Return GPT-2's printable stand-in for each byte: itself where it prints, else a letter from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in printable]
    return {b: chr(b) for b in printable} | {b: chr(0x100 + i) for i, b in enumerate(others)}


_STAND_IN = _byte_alphabet()
_BYTE_OF = {letter: b for b, letter in _STAND_IN.items()}


def _printable(token: bytes) -> str:
    return "".join(_STAND_IN[b] for b in token)


def _bytes_of(name: str) -> bytes:
    return bytes(_BYTE_OF[letter] for letter in name)
