"""What board.py promises: sums and vectors as all processes have them, whoever is fast or slow, and nothing left behind."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dozero.train import board
from dozero.train.board import open_board


class Meeting:
    """Threads in the place of processes: they meet, and the first one's text reaches all."""

    def __init__(self, size):
        self.size, self.barrier, self.text = size, threading.Barrier(size, timeout=30), ""

    def tell(self, text):
        self.text = text or self.text
        self.barrier.wait()
        return self.text

    def run(self, function):
        def alone(rank):
            with_all = open_board(rank, self.size, self.tell, self.barrier.wait)
            return function(rank, with_all)

        with ThreadPoolExecutor(self.size) as pool:
            return list(pool.map(alone, range(self.size)))


def vectors(rank, sizes, dtype=torch.float32):
    draw = torch.Generator().manual_seed(rank)
    return [torch.randn(size, generator=draw).to(dtype) for size in sizes]


@pytest.fixture
def small_parts(monkeypatch, tmp_path):
    monkeypatch.setattr(board, "PART_BYTES", 64)  # so that most of what is told goes in portions
    monkeypatch.setattr(board, "IN_MEMORY", tmp_path)
    return tmp_path


@settings(max_examples=30)
@given(sizes=st.lists(st.integers(1, 60), min_size=1, max_size=5), members=st.integers(2, 4), seed=st.integers(0, 9))
@pytest.mark.usefixtures("small_parts")
def test_sums_and_vectors_are_those_of_all(sizes, members, seed):
    def work(rank, shared):
        slow, told = random.Random(seed + rank), []
        for _ in range(4):
            time.sleep(slow.choice((0, 0, 0.001)))
            mine = vectors(rank, sizes)
            shared.sum(mine)
            told.append((mine, shared.gather(torch.cat(vectors(rank, sizes, torch.bfloat16)))))
        return told

    each = [vectors(rank, sizes) for rank in range(members)]
    sums = [torch.stack(of_all).cumsum(0)[-1] for of_all in zip(*each, strict=True)]
    whole = torch.stack([torch.cat(vectors(rank, sizes, torch.bfloat16)) for rank in range(members)])
    results = Meeting(members).run(work)
    for told in results:
        for summed, gathered in told:
            torch.testing.assert_close(summed, sums)
            assert torch.equal(gathered, whole)
            assert all(torch.equal(a, b) for a, b in zip(summed, results[0][0][0], strict=True))


def test_nothing_is_left_once_all_have_opened_it(small_parts):
    def look(rank, shared):
        shared.wait()  # the first takes its name away after the others may have gone on
        return rank, list(small_parts.iterdir())

    assert Meeting(2).run(look) == [(0, []), (1, [])]


@pytest.mark.usefixtures("small_parts")
def test_without_room_there_is_none_for_all(monkeypatch, small_parts):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(board.os, "posix_fallocate", refuse)
    assert Meeting(3).run(lambda rank, shared: shared) == [None, None, None]
    assert not list(small_parts.iterdir())
