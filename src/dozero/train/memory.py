"""No memory: told in one line with what needs less, whoever noticed: Python, torch's allocator or a GPU's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dozero.errors import OutOfMemory
from dozero.settings import RunConfig
from dozero.train.checkpoint import list_checkpoints

SIGNS = ("allocate memory", "out of memory", "not enough memory", "bad_alloc", "could not create a primitive")
"""What messages say that come as a RuntimeError: of torch's CPU allocator, of GPUs, of Windows, of C++, of oneDNN for its code."""


@contextmanager
def explain_memory_errors(config: RunConfig, run: Path) -> Iterator[None]:
    """Turn a lack of memory into OutOfMemory; nothing is saved then, because an update may have been half made.

    The newest checkpoint is as it was, and the same command continues from it.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        half = max(config.model.max_seq_len, config.train.batch_tokens // 2)
        saved = list_checkpoints(run)[:1]
        raise OutOfMemory(
            f"out of memory; {f'{saved[0].name} is intact' if saved else 'nothing was saved yet'}",
            where=run,
            got=str(error).strip().partition("\n")[0] or "no memory",
            next=f"train.micro_batch_tokens={half}, or --fresh with train.batch_tokens={half} or a smaller model",
        ) from error


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that there was no memory.

    >>> is_out_of_memory(MemoryError()), is_out_of_memory(RuntimeError("shape mismatch"))
    (True, False)
    """
    return isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in SIGNS)
