"""What a curation tells on its way."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class UnitDone:
    """One more unit is read, judged and stored; figures are of all units so far."""

    done: int
    units: int
    documents: int
    kept: int
    bytes: int


@dataclass(frozen=True)
class Unread:
    """A file, member or record that could not be read, and why; the rest went on."""

    where: str
    what: str
