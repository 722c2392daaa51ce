"""Text as it arrives: a character shows once all its bytes are there, a stop string not even in part."""

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


class StopFilter:
    r"""Lets text through up to the first stop string; `push` returns what may be shown so far.

    The first is the one that is complete first; of several complete at one character, the longest. So the cut does not
    depend on the pieces in which the text arrives.

    >>> f = StopFilter(["END", "\n\n"])
    >>> [f.push("one E"), f.push("N"), f.push("!E"), f.push("NDLESS"), f.stopped]
    ['one ', '', 'EN!', '', True]
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops, self._held = tuple(stops), ""
        self.stopped = False
        """Whether a stop string has come: nothing is let through from then on."""

    def push(self, text: str) -> str:
        """Return what may be shown now that `text` has come, perhaps nothing."""
        if not self._stops:
            return text
        if self.stopped:
            return ""
        text, self._held = self._held + text, ""
        found = [(at + len(stop), at) for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            self.stopped = True
            return text[: min(found)[1]]
        held = self._beginning_of_a_stop(text)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]

    def finish(self) -> str:
        """Return what was held back, now that nothing comes after it."""
        held, self._held = self._held, ""
        return held

    def _beginning_of_a_stop(self, text: str) -> int:
        """Return how many characters at the end of the text a stop string may begin with."""
        longest = min(max(map(len, self._stops)) - 1, len(text))
        ends = (n for n in range(longest, 0, -1) if any(stop.startswith(text[-n:]) for stop in self._stops))
        return next(ends, 0)
