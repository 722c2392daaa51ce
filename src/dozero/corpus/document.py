"""A document, and what a filter says about one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import NamedTuple


class Document(NamedTuple):  # a quarter of a million are made before the first step: tuples are made fastest
    """A piece of text with where it came from and under which licence; the unit that is kept, dropped or held out."""

    text: str
    source: str
    licence: str

    @property
    def id(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]


Filter = Callable[[Document], str | None]
"""Returns None to keep a document, or the reason to drop it."""
