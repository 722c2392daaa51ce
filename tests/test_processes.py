"""What processes.py promises: results in order, the same on any number of processes, and no process left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dozero.errors import DataError
from dozero.processes import in_order


def square(number: int) -> int:
    time.sleep(0.02 * (number % 3))  # so that later tasks end before earlier ones
    return number * number


def process_of(number: int) -> int:
    return os.getpid()


def die_at_three(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def refuse_at_three(number: int) -> int:
    if number == 3:
        raise DataError("three is refused", where="task 3")
    return number


# Workers import this module by name, so it must be found as a plain module there.
@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    import test_processes

    return test_processes


@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_in_order(importable, processes):
    assert list(in_order(importable.square, range(12), processes)) == [n * n for n in range(12)]


def test_one_process_is_this_one_and_two_are_others(importable):
    assert set(in_order(importable.process_of, range(3), 1)) == {os.getpid()}
    others = set(in_order(importable.process_of, range(6), 2))
    assert os.getpid() not in others
    assert 1 <= len(others) <= 2


def test_no_task_at_all_gives_nothing(importable):
    assert list(in_order(importable.square, [], 2)) == []


def test_an_error_of_a_task_arrives_as_it_is_after_the_results_before_it(importable):
    results = in_order(importable.refuse_at_three, range(6), 2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(DataError, match="three is refused") as caught:
        next(results)
    assert caught.value.where == "task 3"


def test_a_worker_that_is_killed_is_told_in_one_line(importable):
    with pytest.raises(DataError, match="worker process died"):
        list(in_order(importable.die_at_three, range(6), 2))


def test_leaving_early_leaves_no_process(importable):
    results = in_order(importable.square, range(100), 2)
    next(results)
    results.close()
    assert children_of(os.getpid()) == []


def test_workers_end_when_their_parent_is_killed(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(
        "import time\nfrom dozero.processes import in_order\n"
        "def slow(n):\n    print('begun', flush=True)\n    time.sleep(600)\n"
        "if __name__ == '__main__':\n    list(in_order(slow, [1, 2], 2))\n"
    )
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert [parent.stdout.readline(), parent.stdout.readline()] == ["begun\n"] * 2
    workers = children_of(parent.pid)
    assert workers
    parent.kill()
    parent.wait()
    end = time.monotonic() + 20
    while any(is_running(pid) for pid in workers) and time.monotonic() < end:
        time.sleep(0.1)
    assert not [pid for pid in workers if is_running(pid)]
    parent.stdout.close()


def children_of(pid: int) -> list[int]:
    """Worker processes of `pid`; Linux only, elsewhere none are seen. The tracker of resources stays by design."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            command = stat.with_name("cmdline").read_text()
        except OSError:
            continue
        if int(fields[1]) == pid and "spawn_main" in command:
            found.append(int(stat.parent.name))
    return found


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
