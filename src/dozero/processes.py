"""One function over many tasks on several processes, results in order, few tasks under way at a time."""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from typing import TypeVar

from dozero.errors import DataError

T = TypeVar("T")
R = TypeVar("R")


def in_order(function: Callable[[T], R], tasks: Sequence[T], processes: int) -> Iterator[R]:
    """Yield function(task) for each task, in order; with one process here, else on that many others.

    Both `function` and tasks travel to the others, so the function stands at the top of a module and the tasks are
    plain data. Leaving early cancels what has not begun. Raises DataError when a process dies, which is mostly for want of memory.
    """
    if processes <= 1 or len(tasks) <= 1:
        yield from map(function, tasks)
        return
    under_way: deque[Future[R]] = deque()
    waiting = iter(tasks)
    # Spawned, not forked: a fork copies the locks of threads (numpy's, torch's) that it does not copy.
    count, context = min(processes, len(tasks)), get_context("spawn")
    with ProcessPoolExecutor(count, mp_context=context, initializer=_live_with_parent) as pool:
        try:
            for task in waiting:
                under_way.append(pool.submit(function, task))
                if len(under_way) >= 2 * processes:  # a worker never waits, and results never pile up
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        except BrokenProcessPool:
            raise DataError(
                "a worker process died: for want of memory, or as a script that asks for more than one process does not "
                'stand under `if __name__ == "__main__":`',
                next="the same with one process (--processes 1)",
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


def _live_with_parent() -> None:
    """End this worker when its parent ends, be it killed; leave Ctrl-C to the parent, which lets what is begun end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    assert parent is not None
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
