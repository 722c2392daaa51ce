"""Memory that the processes of one machine share: what they add up or tell each other goes through it, not through sockets.

Each writes into a part of its own, waits for the others, and reads theirs. Two boards take turns, so that nobody writes where
another one still reads: who is at the second has seen all the others leave the first.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

PART_BYTES = 2**22
"""Of one process at a time: enough to be fast, little beside a model."""
IN_MEMORY = Path("/dev/shm")


@dataclass
class Board:
    """What the processes of a machine write for each other."""

    rank: int
    memory: UInt8[Tensor, "two size PART_BYTES"]
    wait: Callable[[], object]
    """Return once all processes have called it."""
    turn: int = 0

    def sum(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over all processes, added in their order: the same bits for all."""
        flat = [t.view(-1) for t in tensors]
        for pieces in _portions(flat):
            parts = self._next_parts(pieces[0].dtype)
            places = _places(pieces)
            for place, piece in zip(places, pieces, strict=True):
                parts[self.rank, place].copy_(piece)
            self.wait()
            for place, piece in zip(places, pieces, strict=True):
                torch.add(parts[0, place], parts[1, place], out=piece)
                for part in parts[2:]:
                    piece.add_(part[place])

    def gather(self, mine: Float[Tensor, "N"]) -> Float[Tensor, "size N"]:
        """Return the vectors of all processes, each as long as this one's."""
        whole = mine.new_empty(self.memory.shape[1], len(mine))
        for (piece,), to in zip(_portions([mine]), whole.split(PART_BYTES // mine.element_size(), dim=1), strict=True):
            parts = self._next_parts(mine.dtype)
            parts[self.rank, : len(piece)].copy_(piece)
            self.wait()
            to.copy_(parts[:, : len(piece)])
        return whole

    def _next_parts(self, dtype: torch.dtype) -> Float[Tensor, "size N"]:
        self.turn = 1 - self.turn
        return self.memory[self.turn].view(dtype)


def open_board(rank: int, size: int, tell: Callable[[str], str], wait: Callable[[], object]) -> Board | None:
    """Return what `size` processes share, the first of them `tell`s all where; None if there is no room for it.

    Nothing is left of it when they end, however they do: the file has no name any more once all have opened it.
    """
    file = Path(tell(str(_make_file(2 * size * PART_BYTES) or "") if rank == 0 else ""))
    if file == Path():
        return None
    try:
        memory = torch.from_file(str(file), shared=True, size=2 * size * PART_BYTES, dtype=torch.uint8)
        wait()
    finally:
        if rank == 0:
            file.unlink()
    return Board(rank, memory.view(2, size, PART_BYTES), wait)


def _make_file(size: int) -> Path | None:
    """Return a new file with room for so many bytes; None where there is none."""
    if not hasattr(os, "posix_fallocate"):
        return None
    descriptor, name = tempfile.mkstemp(prefix="dozero-", dir=IN_MEMORY if IN_MEMORY.is_dir() else None)
    try:
        os.posix_fallocate(descriptor, 0, size)  # memory that was promised but is not there would end the process
    except OSError:
        with suppress(OSError):
            Path(name).unlink()
        return None
    finally:
        os.close(descriptor)
    return Path(name)


def _portions(vectors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Yield the vectors in groups that fit into a part, long ones in pieces."""
    room, portion = 0, list[Tensor]()
    for vector in vectors:
        for piece in vector.split(PART_BYTES // vector.element_size()):
            room += piece.nbytes
            if portion and room > PART_BYTES:
                yield portion
                room, portion = piece.nbytes, []
            portion.append(piece)
    if portion:
        yield portion


def _places(pieces: Sequence[Tensor]) -> list[slice]:
    """Return where each lies, one after the other."""
    places, begin = list[slice](), 0
    for piece in pieces:
        places.append(slice(begin, begin + len(piece)))
        begin += len(piece)
    return places
