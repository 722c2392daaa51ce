"""A document, and what a filter says about one."""

from __future__ import annotations

import hashlib
from typing import NamedTuple


class Document(NamedTuple):  # a quarter of a million are made before the first step: tuples are made fastest
    """A piece of text with where it came from and under which licence; the unit that is kept, dropped or held out."""

    text: str
    source: str
    """Path or URL, then `!member` inside an archive and `#record` inside a file of many, as in a.zip!b.jsonl#3."""
    licence: str
    """SPDX identifier or words; empty when nobody told."""
    lang: str = ""
    """Code of the language it was found to be in; empty when nobody looked."""
    collection: str = ""
    """Name of the entry of data.sources it came from: what is mixed by weight."""

    @property
    def id(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]
