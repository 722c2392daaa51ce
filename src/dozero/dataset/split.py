"""Which documents are held out: decided by the text alone, so that it never changes as a corpus grows."""

from __future__ import annotations

import math
from collections.abc import Callable
from hashlib import blake2b

RESOLUTION = 2**64


def is_heldout(text: str, percent: float) -> bool:
    """Return whether a document is kept out of training.

    Its hash, read as a number in [0, 100), is below `percent`: the same document falls on the same side whatever
    else the corpus holds, and a larger percentage only adds documents.

    >>> [w for w in ("casa", "rua", "flor", "mar", "sol", "lua") if is_heldout(w, 40)]
    ['casa', 'rua', 'sol']
    """
    return heldout_test(percent)(text)


def heldout_test(percent: float) -> Callable[[str], bool]:
    """Return `is_heldout` for one percentage, to be asked many times."""
    limit = math.ceil(percent / 100 * RESOLUTION)
    below = limit.to_bytes(8) if limit < RESOLUTION else b"\xff" * 9  # bytes compare as the numbers they are

    def judge(text: str) -> bool:
        return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest() < below

    return judge
