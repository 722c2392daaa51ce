"""Is a word new? Compared with every word the model could have learned by heart."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

SHORTEST_COPY = 4


@dataclass(frozen=True)
class Verdict:
    """`kind` is "new", "exists" or "almost"; `near` is the known word one edit away."""

    kind: str
    near: str | None = None


def judge_word(word: str, known: Collection[str], alphabet: str) -> Verdict:
    """Return whether a word exists, is one edit away from a known one, or is new.

    >>> [judge_word(w, {"caminho"}, "abcdefghijklmnopqrstuvwxyz").kind for w in ("caminho", "caminhos", "camarim")]
    ['exists', 'almost', 'new']
    """
    if word in known:
        return Verdict("exists")
    near = next((edited for edited in one_edit_away(word, alphabet) if edited in known), None)
    return Verdict("new") if near is None else Verdict("almost", near)


def one_edit_away(word: str, alphabet: str) -> Iterator[str]:
    """Yield every string that one inserted, deleted, replaced or swapped letter makes of a word.

    >>> sorted(set(one_edit_away("a", "ab")))
    ['', 'aa', 'ab', 'b', 'ba']
    """
    for i in range(len(word) + 1):
        head, tail = word[:i], word[i:]
        if tail:
            yield head + tail[1:]
            yield from (head + letter + tail[1:] for letter in alphabet if letter != tail[0])
        if len(tail) > 1 and tail[0] != tail[1]:
            yield head + tail[1] + tail[0] + tail[2:]
        yield from (head + letter + tail for letter in alphabet)
