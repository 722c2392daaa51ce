"""Ctrl-C and a polite kill: the first finishes the step and saves, the second leaves at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass
class StopFlag:
    """The signal that asked to stop, if one has; calling it tells whether to."""

    signal: int = 0

    def __call__(self) -> bool:
        """Return whether a signal has asked to stop."""
        return self.signal != 0

    @property
    def exit_code(self) -> int:
        """130 after Ctrl-C, 143 after a kill, as shells expect."""
        return 128 + self.signal


@contextmanager
def stop_on_signals() -> Iterator[StopFlag]:
    """Turn SIGINT and SIGTERM into a flag until leaving; a second signal ends the process at once."""
    flag = StopFlag()

    def ask(number: int, _frame: FrameType | None) -> None:
        if flag.signal:
            os._exit(128 + number)
        flag.signal = number

    old = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield flag
    finally:
        for number, action in old.items():
            signal.signal(number, action)
