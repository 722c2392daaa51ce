"""A process that makes a few training steps of a shape and tells their times and its memory; `few_steps` starts it."""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

VOCAB = 2048


@dataclass(frozen=True)
class FewSteps:
    """What a process told of its steps."""

    params: int
    tokens: int
    """Of one step."""
    times_s: list[float]
    flops: float
    """Of one step, the update's included."""
    idle_bytes: int
    """What the process held before, with torch at work."""
    peak_bytes: int
    """The most it held."""
    alive_bytes: int
    """What the cost model says is in use at the highest moment of training."""
    told_bytes: int
    """What it says the process holds at most, freed memory included."""
    kernel: str
    """How attention was computed."""

    @property
    def grown_bytes(self) -> int:
        """What training held at its highest."""
        return self.peak_bytes - self.idle_bytes


def few_steps(settings: Sequence[str], steps: int, *, returns_freed: bool = False) -> FewSteps:
    """Make so many steps on random tokens in a process of its own, which on wish returns all freed memory at once."""
    order = {"settings": list(settings), "steps": steps, "returns_freed": returns_freed}
    command = [sys.executable, __file__, json.dumps(order)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{settings} failed:\n{done.stderr[-2000:]}")
    return FewSteps(**json.loads(done.stdout))


def main(settings: list[str], steps: int, *, returns_freed: bool) -> FewSteps:
    """Make the steps here."""
    import numpy as np

    from dozero.config import load_config
    from dozero.dataset.batch import batch_of_step
    from dozero.dataset.rows import pack_rows
    from dozero.dataset.stream import Collection, TokenStream
    from dozero.device import apply_device, pick_device
    from dozero.model.cost import model_cost, update_flops
    from dozero.model.memory import training_memory
    from dozero.train.attention import choose_attention, use_attention
    from dozero.train.learner import build_learner
    from dozero.train.room import idle_bytes
    from dozero.train.step import Schedule, train_step

    config = load_config(overrides=settings)
    device = pick_device("cpu", config.train.dtype, config.train.threads)
    apply_device(device)
    if returns_freed:
        return_freed_memory()
    T = config.model.max_seq_len
    documents, draw = config.rows_per_step * (steps + 1), np.random.default_rng(0)
    ids = draw.integers(0, VOCAB, documents * T + 1, dtype=np.uint16)
    whole = Collection("", documents, documents * T, documents * T, documents * T)
    rows = pack_rows(TokenStream((ids,), np.arange(documents) * T, (whole,)), T)
    kernel, _ = choose_attention(config, device)
    idle = idle_bytes(config, device, kernel)
    model, optimizer = build_learner(config, VOCAB, device)
    use_attention(model, kernel)
    times_s = []
    for step in range(steps):
        began = time.perf_counter()
        batch = batch_of_step(rows, config.rows_per_step, 0, step)
        train_step(model, optimizer, batch, step, Schedule(1000), rows_at_once=config.rows_at_once)
        times_s.append(time.perf_counter() - began)
    cost, tokens = model_cost(config.model, VOCAB), config.rows_per_step * T
    memory = training_memory(config, VOCAB, device.dtype.itemsize, kernel)
    return FewSteps(
        cost.params, tokens, times_s, cost.training_flops_per_token * tokens + update_flops(config.model),
        idle, highest_bytes(), memory.alive_bytes + memory.code_bytes, memory.peak_bytes, kernel,
    )  # fmt: skip


def return_freed_memory() -> None:
    """Let glibc map each block of 64 KiB or more on its own, as `apply_device` does not, because it is slow."""
    m_trim_threshold, m_mmap_threshold, m_mmap_max = -1, -3, -4  # names of <malloc.h>
    for option, value in ((m_mmap_max, 1 << 16), (m_mmap_threshold, 1 << 16), (m_trim_threshold, 1 << 17)):
        ctypes.CDLL(None).mallopt(option, value)


def highest_bytes() -> int:
    """Return the most memory that this process held so far, as Linux counts it."""
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))


if __name__ == "__main__":
    print(json.dumps(asdict(main(**json.loads(sys.argv[1])))))
