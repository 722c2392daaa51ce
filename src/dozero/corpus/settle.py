"""The last step of curation: each unit is written again, what stays and what goes apart, now that duplicates are known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dozero.corpus.report import Summary
from dozero.corpus.store import RowWriter, Stored, read_rows

DUPLICATE = (None, "exact duplicate", "near duplicate")  # by verdict


@dataclass(frozen=True)
class Settling:
    """A unit on its way into the corpus: where from, where to, and what becomes of each document it kept."""

    number: int
    work: Path
    folder: Path
    verdict: NDArray[np.uint8]


def settle_unit(unit: Settling) -> Summary:
    """Write the documents of a unit that stay and those that go to the corpus folder, and return their summary."""
    summary = Summary()
    kept, dropped = (file_of(unit.work, name, unit.number) for name in ("kept", "dropped"))
    with (
        RowWriter(file_of(unit.folder, "documents", unit.number), dropped=False) as stays,
        RowWriter(file_of(unit.folder, "dropped", unit.number), dropped=True) as goes,
    ):
        verdicts = iter(unit.verdict.tolist())
        for row in _rows_of(kept):
            judged = row._replace(reason=DUPLICATE[next(verdicts)])
            (goes if judged.reason else stays).add(judged)
            summary.add(judged)
        for row in _rows_of(dropped):
            goes.add(row)
            summary.add(row)
    return summary


def _rows_of(file: Path) -> Iterator[Stored]:
    """Yield the rows of a file, none where a unit wrote none."""
    return read_rows(file) if file.exists() else iter(())


def file_of(folder: Path, name: str, number: int) -> Path:
    """Return where one kind of rows of a unit is."""
    return folder / f"{name}-{number:06d}.parquet"
