"""Numbers as a reader's language writes them, whatever the format a sentence asks for."""

from __future__ import annotations

import math
from typing import Any

UNKNOWN = ("não medido", "not measured")


class Portuguese:
    """A number with a decimal comma, and points between thousands."""

    def __init__(self, value: float) -> None:
        self.value = value

    def __format__(self, spec: str) -> str:
        return format(self.value, spec).translate(str.maketrans(",.", ".,"))


class Unknown:
    """Stands for a figure that was not measured: its word replaces the number."""

    def __init__(self, word: str) -> None:
        self.word = word

    def __format__(self, spec: str) -> str:
        return self.word


def shown(value: Any, lang: str) -> Any:
    """Return what a sentence in "pt" or else English should format in place of a value; NaN is what nobody measured.

    >>> f"{shown(1234.5, 'pt'):,.2f}", f"{shown(math.nan, 'en'):.3f}"
    ('1.234,50', 'not measured')
    """
    if isinstance(value, float) and math.isnan(value):
        return Unknown(UNKNOWN[0 if lang == "pt" else 1])
    return Portuguese(value) if lang == "pt" and isinstance(value, int | float) else value
