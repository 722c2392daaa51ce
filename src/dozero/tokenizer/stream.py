"""Text as it arrives: a character shows once all its bytes are there, never as a broken half."""

from __future__ import annotations

import codecs
from collections.abc import Sequence


class IncrementalDecoder:
    r"""Turns token ids into text one at a time; `push` returns what may be shown so far.

    >>> d = IncrementalDecoder([b"", b"c", b"\xc3", b"\xa7"])
    >>> [d.push(1), d.push(2), d.push(3), d.finish()]
    ['c', '', 'ç', '']
    """

    def __init__(self, tokens: Sequence[bytes]) -> None:
        self._tokens = tokens
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, token_id: int) -> str:
        """Return the text that this token completes, perhaps none."""
        return self._decoder.decode(self._tokens[token_id])

    def finish(self) -> str:
        """Return U+FFFD for bytes left incomplete at the end, else nothing."""
        return self._decoder.decode(b"", final=True)
