"""GPT-2's printable stand-in for each byte, by which a tokenizer.json names its tokens."""

from __future__ import annotations

from dozero.tokenizer.bpe import BYTE_ORDER

# A byte stands for itself where it prints, else a letter from U+0100 on does.
_LETTERS = 188  # bytes of BYTE_ORDER that print
_STAND_IN = {b: chr(b if i < _LETTERS else 0x100 + i - _LETTERS) for i, b in enumerate(BYTE_ORDER)}
_BYTE_OF = {letter: b for b, letter in _STAND_IN.items()}


def printable(token: bytes) -> str:
    """Return the name of a token.

    >>> printable(" ã".encode())
    'ĠÃ£'
    """
    return "".join(_STAND_IN[b] for b in token)


def bytes_of(name: str) -> bytes:
    """Return the token of a name; KeyError for a letter that stands for no byte.

    >>> bytes_of("ĠÃ£").decode()
    ' ã'
    """
    return bytes(_BYTE_OF[letter] for letter in name)
