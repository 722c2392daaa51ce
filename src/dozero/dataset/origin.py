"""Which documents a batch was made of: from the rows of a step back to the text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dozero.dataset.rows import Rows
from dozero.dataset.stream import TokenStream


def documents_of_rows(rows: Rows, chosen: NDArray[np.int64] | Sequence[int], stream: TokenStream) -> list[int]:
    """Return the numbers of the documents that these rows hold a piece of, counted from 0 in the stream, in order.

    `rows` are those that `pack_rows` made of the stream.
    """
    pieces = [np.arange(rows.first[row], rows.first[row + 1]) for row in chosen]
    starts = rows.piece_start[np.concatenate(pieces)] if pieces else np.zeros(0, dtype=np.int64)
    found = np.searchsorted(stream.starts, starts, side="right") - 1  # the last document that begins at or before
    return np.unique(found).tolist()
