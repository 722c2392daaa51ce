"""Does a killed run end with the same bits? Tried on two shortened copies: one undisturbed, one killed again and again.

Both are processes of their own. The second is ended by SIGKILL at random moments of its training, saves included, and
started anew each time. Then logs, weights and optimizer state are compared, bit for bit.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import torch
from safetensors.torch import load_file

from dozero.config import to_toml
from dozero.errors import CheckpointError
from dozero.settings import RunConfig
from dozero.train.checkpoint import checkpoint_path
from dozero.train.log import read_log

STEPS = 40
"""Steps of the copies; a run of fewer keeps its own."""
SAVES, LOOKS = 8, 4
SOURCE = Path(__file__).resolve().parents[2]
LOGS = ("metrics.jsonl", "samples.jsonl")
TENSORS = ("model.safetensors", "optim.safetensors")


@dataclass(frozen=True)
class Undisturbed:
    """The copy that nobody kills is done."""

    steps: int
    seconds: float


@dataclass(frozen=True)
class Killed:
    """A process of the other copy is dead."""

    at_step: int
    """The last step it told."""
    began_at: int
    """The step it had continued from."""
    lost_steps: int
    """Steps that the process before it had made and it had to make again."""
    recovery_s: float
    """From its start to its first step."""


@dataclass(frozen=True)
class Difference:
    """The first place where the copies differ."""

    file: str
    step: int
    where: str
    """A field of a line, or an element of a tensor."""
    undisturbed: str
    killed: str


@dataclass(frozen=True)
class Proof:
    """What came of it."""

    steps: int
    kills: int
    most_steps_lost: int
    recovery_p50_s: float
    recovery_p99_s: float
    seconds: float
    difference: Difference | None
    """None: not one bit differs."""


def shorten(config: RunConfig, steps: int = STEPS) -> RunConfig:
    """Return the settings of a copy: fewer steps, all of them logged, looks and saves as close as that asks for."""
    steps = min(steps, config.train.steps)
    looks, saves = max(1, steps // LOOKS), max(1, steps // SAVES)
    train = {
        "steps": steps, "max_seconds": 0.0, "log_every": 1,
        "eval_every": looks, "sample_every": looks, "save_every": saves,
    }  # fmt: skip
    return config.model_copy(update={"train": config.train.model_copy(update=train)})


def prove_resume(
    config: RunConfig, dataset: Path, tokenizer: Path, folder: Path, kills: int, seed: int = 0
) -> Iterator[Undisturbed | Killed | Proof]:
    """Train the copies of `config`, shortened already, in `folder`, and yield what happens, the proof last.

    The moments of the kills follow from the seed: a step, and a share of the longest time between two events, so that
    saves are struck too. Raises CheckpointError when a copy cannot be trained at all.
    """
    began = time.perf_counter()
    whole, killed = _begin(config, folder / "whole"), _begin(config, folder / "killed")
    started = time.perf_counter()
    _Copy(whole, dataset, tokenizer).finish()
    yield Undisturbed(config.train.steps, round(time.perf_counter() - started, 3))
    deaths: list[Killed] = []
    lost: list[int] = []
    reached, draw = 0, random.Random(seed)
    for step in _steps_to_kill_at(config.train.steps, kills, draw):
        copy = _Copy(killed, dataset, tokenizer)
        if not copy.kill_at(step, draw.random()):
            break
        lost.append(max(0, reached - copy.began_at))
        deaths.append(Killed(copy.told_step, copy.began_at, lost[-1], round(copy.recovery_s, 3)))
        reached = max((line["step"] for line in read_log(killed / LOGS[0])), default=0)
        yield deaths[-1]
    last = _Copy(killed, dataset, tokenizer)
    last.finish()
    recoveries = [*(death.recovery_s for death in deaths[1:]), last.recovery_s]
    yield Proof(
        config.train.steps, len(deaths), max((*lost, reached - last.began_at, 0)),
        round(statistics.median(recoveries), 3), round(percentile(recoveries, 0.99), 3),
        round(time.perf_counter() - began, 3), first_difference(whole, killed, config.train.steps),
    )  # fmt: skip


def percentile(values: list[float], share: float) -> float:
    """Return the smallest value that at least this share of them does not exceed.

    >>> percentile([4.0, 1.0, 3.0, 2.0], 0.5), percentile([1.0, 2.0], 0.99)
    (2.0, 2.0)
    """
    ordered = sorted(values)
    return next(v for i, v in enumerate(ordered, 1) if i >= share * len(ordered))


def _begin(config: RunConfig, run: Path) -> Path:
    run.mkdir(parents=True)
    (run / "given.toml").write_text(to_toml(config), encoding="utf-8")
    return run


def _steps_to_kill_at(steps: int, kills: int, draw: random.Random) -> list[int]:
    """Return a step for each kill, in order, none of them the last, so that each finds a process that trains."""
    return sorted(draw.randrange(max(1, steps - 1)) for _ in range(kills))


class _Copy:
    """A process that trains the copy in `run`, from where the one before it was."""

    def __init__(self, run: Path, dataset: Path, tokenizer: Path) -> None:
        self.began_at, self.told_step, self.recovery_s = 0, 0, 0.0
        self._started = time.perf_counter()
        # The same code as here, wherever it was imported from.
        path = os.pathsep.join([str(SOURCE), os.environ.get("PYTHONPATH", "")])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "dozero.pipeline.rerun", *map(str, (run, dataset, tokenizer))],
            env=os.environ | {"PYTHONPATH": path}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, encoding="utf-8", start_new_session=True,
        )  # fmt: skip

    def _events(self) -> Iterator[float]:
        """Yield the seconds since the event before, as each event is told."""
        assert self._process.stdout is not None
        before = time.perf_counter()
        for line in self._process.stdout:
            told, now = json.loads(line), time.perf_counter()
            if told["event"] == "Started":
                self.began_at = told["step"]
            elif told["event"] == "Stepped" and not self.recovery_s:
                self.recovery_s = now - self._started
            self.told_step = told["step"]
            yield now - before
            before = now

    def kill_at(self, step: int, share: float) -> bool:
        """Kill it that share of the longest pause after it tells this step; return whether it was not done before."""
        longest_s = 0.0
        try:
            for n, pause_s in enumerate(self._events()):
                longest_s = max(longest_s, pause_s) if n > 1 else 0.0  # the first is its start
                if self.recovery_s and self.told_step >= step:
                    break
            time.sleep(share * longest_s)
        finally:
            self._process.kill()
            _, said = self._process.communicate()
        if self._process.returncode > 0:
            raise CheckpointError("a copy of the run cannot be trained", got=said.strip().rpartition("\n")[2])
        return self._process.returncode < 0

    def finish(self) -> None:
        """Let it come to its end."""
        try:
            for _ in self._events():
                pass
            _, said = self._process.communicate()
        finally:
            self._process.kill()
        if self._process.returncode:
            raise CheckpointError("a copy of the run cannot be trained", got=said.strip().rpartition("\n")[2])


def first_difference(undisturbed: Path, killed: Path, step: int) -> Difference | None:
    """Return where two runs differ first: in a line of the logs, or in a number of the checkpoint of `step`."""
    found = difference_of_logs(undisturbed, killed)
    if found:
        return found
    for name in TENSORS:
        files = [checkpoint_path(run, step) / name for run in (undisturbed, killed)]
        found = difference_of_tensors(name, step, *files)
        if found:
            return found
    return None


def difference_of_logs(undisturbed: Path, killed: Path) -> Difference | None:
    """Return the first line in which the logs of two runs differ."""
    for name in LOGS:
        lines = ((run / name).read_text(encoding="utf-8").splitlines() for run in (undisturbed, killed))
        for ours, theirs in zip_longest(*lines, fillvalue="{}"):
            if ours != theirs:
                return _difference_of_lines(name, ours, theirs)
    return None


def _difference_of_lines(name: str, ours: str, theirs: str) -> Difference:
    one, other = json.loads(ours), json.loads(theirs)
    where = next((key for key in {**one, **other} if str(one.get(key)) != str(other.get(key))), "line")
    step = min(line["step"] for line in (one, other) if "step" in line)
    return Difference(name, step, where, str(one.get(where)), str(other.get(where)))


def difference_of_tensors(name: str, step: int, undisturbed: Path, killed: Path) -> Difference | None:
    """Return the first number, bit for bit, in which two files of tensors differ."""
    ours, theirs = load_file(undisturbed), load_file(killed)
    for key in sorted({*ours, *theirs}):
        a, b = ours.get(key), theirs.get(key)
        if a is None or b is None or a.shape != b.shape or a.dtype != b.dtype:
            shown = ("none" if t is None else f"{t.dtype} {tuple(t.shape)}" for t in (a, b))
            return Difference(name, step, key, *shown)
        a, b = a.flatten(), b.flatten()
        size = a.element_size()
        bits = (a.view(torch.uint8) != b.view(torch.uint8)).view(-1, size).any(dim=1)  # -0.0 is not 0.0 here
        if bits.any():
            at = int(bits.nonzero()[0])
            return Difference(name, step, f"{key}[{at}]", repr(a[at].item()), repr(b[at].item()))
    return None
