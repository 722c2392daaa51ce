"""The parts of a text that filters ask for, each computed once: words, lines, paragraphs, sentences."""

from __future__ import annotations

from collections.abc import Callable

from dozero.corpus.document import Document


class Parts:
    """A text and its parts, computed on first use."""

    def __init__(self, text: str) -> None:
        self.text = text


Filter = Callable[[Document, Parts], str | None]
"""Returns None to keep a document, or the reason to drop it."""
