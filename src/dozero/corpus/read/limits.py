"""How much one file may cost, what could not be read, and the allowance that everything unpacked is counted against."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from dozero.errors import DataError


class Unreadable(NamedTuple):
    """A file, member or record that could not be read, and why; the rest of the corpus goes on."""

    where: str
    """Path or URL, `!member`, and `#record` or `, line N`."""
    what: str
    """The fault in a few words, equal for equal faults."""


@dataclass(frozen=True)
class Limits:
    """What a file may cost before it counts as a trap. Ordinary text stays far below each."""

    longest_line_bytes: int = 10_000_000
    """A line of jsonl or csv, or a line of plain text; a longer one is passed over."""
    largest_document_chars: int = 10_000_000
    """One document. The Bible has 4 million characters."""
    largest_in_memory_bytes: int = 64_000_000
    """A file inside an archive that cannot be read from front to back: pdf, docx, epub, zip, parquet."""
    ratio: int = 200
    """Unpacked bytes for each packed one. Text packs 3 to 20 times; gzip of zeros 1,000 times."""
    free_bytes: int = 16_000_000
    """Unpacked bytes that are allowed at any ratio, since they harm nobody."""
    depth: int = 4
    """Layers of packing: a jsonl.gz in a zip in a tar.gz has four."""
    members: int = 200_000
    """Files in one archive."""
    pages: int = 10_000
    """Pages of a PDF."""
    pdf_seconds: float = 60.0
    """Time for one PDF, looked at between pages."""


@dataclass
class Budget:
    """What may still be unpacked out of one file on disk, all its layers together."""

    allowed_bytes: int
    spent_bytes: int = field(default=0)

    def spend(self, size: int) -> None:
        """Count `size` unpacked bytes; DataError when they are more than the file may give."""
        self.spent_bytes += size
        if self.spent_bytes > self.allowed_bytes:
            raise DataError(f"unpacks to more than {self.allowed_bytes / 1e6:,.0f} MB, far beyond its size")


def make_budget(size_bytes: int, limits: Limits) -> Budget:
    """Return the allowance of a file of this size on disk."""
    return Budget(limits.free_bytes + limits.ratio * size_bytes)
