"""What training claims of minutes of punishment: whatever befalls it, the run ends with the bits of one left in peace.

    python benchmarks/soak.py [soak] [--quick] [--json]

Runs are trained by the command line, each session in one process or two (train.verify_slots makes their bits equal), until
a fault strikes, 3 seconds on average after its first step: SIGKILL for all of it or for one of two processes, SIGTERM, or
one of two falls silent. Then the same command again. Ten minutes; --quick one and a half.
"""

from __future__ import annotations

import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from claims.claim import Claim, at_least, at_most, run_claims

from dozero.testing import tiny_workspace, torchrun_command, workers_of

MEAN_S_BETWEEN_FAULTS = 3.0
SAVE_EVERY = 50
PEER_TIMEOUT_S = 5
SETTINGS = (
    *(
        "train.batch_tokens=128",
        "train.verify_slots=2",
        f"train.peer_timeout_s={PEER_TIMEOUT_S}",
        f"train.save_every={SAVE_EVERY}",
        "train.on_divergence=skip",  # of 128 tokens a step, one in thousands is far off: that is to be exact too
    ),
    *("train.eval_every=400", "train.sample_every=400", "train.observe_every=100"),
)
ONE, TWO = ("killed", "asked to stop"), ("killed", "asked to stop", "one of two killed", "one of two silent")
BITS = ("metrics.jsonl", "samples.jsonl", "model/model.safetensors")
SOURCE = Path(__file__).resolve().parent.parent / "src"
ENVIRONMENT = os.environ | {"PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1"}
PATIENCE_S = 120


@dataclass
class Story:
    """What befell the runs."""

    faults: Counter[str] = field(default_factory=Counter)
    steps_lost: list[int] = field(default_factory=list)
    recovery_s: list[float] = field(default_factory=list)
    """From the start of a command to its first step, after a fault."""
    runs: int = 0
    different: int = 0
    lost: int = 0
    """Runs that the same command did not continue."""


def soak(quick: bool) -> Iterator[Claim]:
    """Punish runs until the time is over."""
    ends, story = time.monotonic() + (90 if quick else 600), Story()
    with tempfile.TemporaryDirectory() as name:
        while time.monotonic() < ends:
            punish(Path(name) / str(story.runs), 400 if quick else 4000, random.Random(story.runs), story, ends)
    print(table(story), flush=True)
    yield at_least("soak: faults", story.faults.total(), 3 if quick else 40)
    yield at_most("soak: runs that were lost", story.lost, 0)
    yield at_most("soak: runs that ended with a different bit", story.different, 0)
    yield at_most("soak: steps lost by one fault", max(story.steps_lost, default=0), SAVE_EVERY)


def punish(folder: Path, steps: int, draw: random.Random, story: Story, ends: float) -> None:
    """Train one run to its end, with faults until the time is over, and hold it against one left in peace."""
    tiny_workspace(folder, *SETTINGS, f"train.steps={steps}", f"seed={story.runs}")
    story.runs += 1
    fault, reached = "", 0
    while fault is not None:
        after_s = draw.expovariate(1 / MEAN_S_BETWEEN_FAULTS) if time.monotonic() < ends else 1e9
        told = train_until(folder, draw.choice((1, 2)), after_s, draw)
        if told is None:
            story.lost += 1
            return
        if fault:
            story.faults[fault] += 1
            story.steps_lost.append(max(0, reached - told.begun))
            story.recovery_s.append(told.recovery_s)
        fault, reached = told.fault, told.reached
    peace = folder.with_name(f"{folder.name}-peace")
    peace.mkdir()
    (peace / "run.toml").write_text((folder / "run.toml").read_text(encoding="utf-8"), encoding="utf-8")
    subprocess.run(command(1), cwd=peace, env=ENVIRONMENT, capture_output=True, check=True)
    bits = [[(place / "runs" / "main" / name).read_bytes() for name in BITS] for place in (folder, peace)]
    story.different += bits[0] != bits[1]


def command(processes: int) -> list[str]:
    """Return the command of a session."""
    program = ("-m", "dozero", "train", "run.toml", "--json")
    return [sys.executable, *program] if processes == 1 else torchrun_command(processes, *program)


@dataclass(frozen=True)
class Told:
    """What a session came to."""

    begun: int
    reached: int
    recovery_s: float
    fault: str | None
    """None if the run was done before one struck."""


def train_until(folder: Path, processes: int, after_s: float, draw: random.Random) -> Told | None:
    """Train until a fault strikes, so long after the first step; None if there was neither a step nor an end."""
    began = time.monotonic()
    process = subprocess.Popen(
        command(processes), cwd=folder, env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, encoding="utf-8",
    )  # fmt: skip
    assert process.stdout is not None
    begun = reached = 0
    stepped_at, fault = None, None
    for line in process.stdout:
        event = json.loads(line)
        if event["event"] == "Started":
            begun = reached = event["step"]
        if event["event"] == "Stepped":
            stepped_at, reached = stepped_at or time.monotonic(), event["step"]
        if event["event"] == "Finished":
            process.communicate(timeout=PATIENCE_S)
            return Told(begun, reached, (stepped_at or time.monotonic()) - began, None)
        if fault is None and stepped_at is not None and time.monotonic() > stepped_at + after_s:
            fault = strike(process, processes, draw)
    _, err = process.communicate(timeout=PATIENCE_S)
    if fault is None or stepped_at is None:
        print(f"     lost: {err[-1000:]}", flush=True)
        return None
    return Told(begun, reached, stepped_at - began, fault)


def strike(process: subprocess.Popen[str], processes: int, draw: random.Random) -> str:
    """Do something bad to a session and return what."""
    workers = workers_of(process.pid) if processes > 1 else []
    fault = draw.choice(TWO if len(workers) > 1 else ONE)
    if fault == "killed":
        for pid in (process.pid, *workers):
            os.kill(pid, signal.SIGKILL)
    elif fault == "asked to stop":
        process.send_signal(signal.SIGTERM)
    elif fault == "one of two killed":
        os.kill(draw.choice(workers), signal.SIGKILL)
    else:
        silent = draw.choice(workers)
        os.kill(silent, signal.SIGSTOP)
        threading.Timer(
            PEER_TIMEOUT_S + 5, kill_if_there, [silent]
        ).start()  # torchrun alone would wait for half a minute
    return fault


def kill_if_there(pid: int) -> None:
    """Kill a process that may be gone."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def table(story: Story) -> str:
    """Return what happened as lines of a table."""
    recovery = f"{statistics.mean(story.recovery_s):.1f} s" if story.recovery_s else "-"
    rows = {
        **{f"faults: {fault}": count for fault, count in sorted(story.faults.items())},
        "runs": story.runs,
        "runs lost": story.lost,
        "runs with different bits": story.different,
        "steps lost by one fault, at most": max(story.steps_lost, default=0),
        "from start to first step again, on average": recovery,
    }
    return "\n".join(f"     {name:<44} {value}" for name, value in rows.items())


if __name__ == "__main__":
    run_claims(__doc__, {"soak": soak})
