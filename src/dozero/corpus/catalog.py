"""The catalog of open corpora: a name stands for an address, a licence and a language."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources

from dozero.errors import DataError, did_you_mean


@dataclass(frozen=True)
class Entry:
    """One corpus of the catalog."""

    name: str
    address: str
    """URL, or hf://owner/name@config."""
    licence: str
    """SPDX identifier, or words where there is none."""
    language: str
    """Code of its language."""
    size_bytes: int
    """Size of the download, about."""
    en: str
    """What it is, in English."""
    pt: str
    """What it is, in Portuguese."""
    text_field: str = "text"
    """Field that holds the text."""
    sha256: str = ""
    """SHA-256 of the file where its content never changes; empty where the first download records it."""


@cache
def list_catalog() -> tuple[Entry, ...]:
    """Return the corpora of the catalog, in the order of their names."""
    text = resources.files("dozero.corpus").joinpath("catalog.toml").read_text(encoding="utf-8")
    return tuple(Entry(name=name, **fields) for name, fields in sorted(tomllib.loads(text).items()))


def find_entry(name: str) -> Entry | None:
    """Return the corpus of this name or address, or None.

    >>> find_entry("lusiadas").licence
    'public domain'
    """
    return next((entry for entry in list_catalog() if name in (entry.name, entry.address)), None)


def get_entry(name: str) -> Entry:
    """Return the corpus of this name; DataError suggests the nearest one when there is none."""
    entry = find_entry(name)
    if entry is None:
        names = [known.name for known in list_catalog()]
        hint = did_you_mean(name, names)
        raise DataError(
            "not in the catalog" + (f", did you mean {hint}?" if hint else ""), expected=" ".join(names), got=repr(name)
        )
    return entry
