"""What settle.py promises: each document of a unit ends in one of two files, with its reason, and none is lost."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dozero.corpus.document import Document
from dozero.corpus.settle import DUPLICATE, Settling, file_of, settle_unit
from dozero.corpus.store import Stored, read_rows, write_rows

VERDICTS = st.lists(st.integers(0, len(DUPLICATE) - 1), max_size=8)


def rows_in(file):
    return list(read_rows(file)) if file.exists() else []


def rows_of(ids, reason):
    return [Stored(i, Document(f"texto {i}", "a", "MIT", "pt", "c"), reason) for i in ids]


@given(verdicts=VERDICTS, before=st.integers(0, 4))
def test_what_stays_and_what_goes_is_all_there_was(verdicts, before, tmp_path_factory):
    work, folder = tmp_path_factory.mktemp("work"), tmp_path_factory.mktemp("corpus")
    kept = rows_of([f"k{n}" for n in range(len(verdicts))], None)
    dropped = rows_of([f"d{n}" for n in range(before)], "c4: x")
    write_rows(file_of(work, "kept", 7), kept, dropped=False)
    write_rows(file_of(work, "dropped", 7), dropped, dropped=True)
    summary = settle_unit(Settling(7, work, folder, np.array(verdicts, dtype=np.uint8)))
    judged = [row._replace(reason=DUPLICATE[v]) for row, v in zip(kept, verdicts, strict=True)]
    assert rows_in(file_of(folder, "documents", 7)) == [row for row in judged if row.reason is None]
    assert rows_in(file_of(folder, "dropped", 7)) == [row for row in judged if row.reason] + dropped
    assert (summary.kept, summary.reasons.total()) == (verdicts.count(0), len(verdicts) - verdicts.count(0) + before)
