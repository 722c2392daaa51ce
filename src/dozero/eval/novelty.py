"""Is a word new? Compared with every word the model could have learned by heart."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

# One letter in ten is the most that may differ: of real words that a model never saw, three in four are one edit away
# from some word that it did see (ordenado, ordenada), but of those of ten letters or more a far smaller share is.
SHORTEST_COPY = 10


@dataclass(frozen=True)
class Verdict:
    """`kind` is "new", "exists" or "almost"; `near` is the known word that an almost-copy differs from by a letter."""

    kind: str
    near: str | None = None


def judge_word(word: str, known: Collection[str], alphabet: str) -> Verdict:
    """Return whether a word exists, is almost a copy of a known one, or is new.

    Almost a copy is a long word (10 letters or more) one edit away from a known one.

    >>> known = {"caminho", "encaminhado"}
    >>> [judge_word(w, known, "abcdefghijklmnopqrstuvwxyz").kind for w in ("caminho", "encaminhadu", "caminhu")]
    ['exists', 'almost', 'new']
    """
    if word in known:
        return Verdict("exists")
    if len(word) < SHORTEST_COPY:
        return Verdict("new")
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
