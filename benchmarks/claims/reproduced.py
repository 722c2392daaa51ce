"""Claim: `dozero reproduce` gives the same weights bit for bit on the same machine."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from claims.claim import Claim, at_least

RUNS = {
    "words, ended by its steps": ("words", ("train.steps=120",)),
    "words, its end moved by the clock": ("words", ("train.steps=5000", "train.max_seconds=8")),
    "words, its blocks compiled": ("words", ("train.steps=120", "train.compile=on")),
    "stories, killed on its way": ("stories", ("train.steps=120", "data.stories=4000", "train.save_every=20")),
}
KILLED = "killed"


def reproduced(quick: bool) -> Iterator[Claim]:
    """Train runs of each kind as a user would, make each again, and count those whose weights are the same."""
    for kind, (preset, settings) in RUNS.items():
        same, then_s, again_s, times = 0, 0.0, 0.0, 1 if quick else 3
        for seed in range(times):
            with tempfile.TemporaryDirectory() as name:
                workspace = Path(name) / "ws"
                dozero("new", str(workspace), "--preset", preset)
                command = ("run", str(workspace / "run.toml"), *settings, f"seed={seed}")
                if KILLED in kind:
                    kill_after_first_checkpoint(workspace, command)
                then_s += dozero(*command)[0]
                seconds, out = dozero("reproduce", str(workspace), "--json")
                again_s += seconds
                result = next(e for e in map(json.loads, out.splitlines()) if e["event"] == "Reproduced")
                same += result["identical"] and result["sha256"] == result["sha256_again"]
        yield at_least(f"reproduce: {kind}: the same weights, of {times}", same, times)
        yield Claim(f"reproduce: {kind}: seconds (theirs: of the run itself)", again_s, then_s, again_s / then_s, "told", True)  # fmt: skip


def dozero(*arguments: str) -> tuple[float, str]:
    """Return the seconds of a command and what it printed."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "dozero", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return time.perf_counter() - began, done.stdout


def kill_after_first_checkpoint(workspace: Path, command: tuple[str, ...]) -> None:
    """Start a run and end it the hard way once there is something to go on from."""
    process = subprocess.Popen([sys.executable, "-m", "dozero", *command], stdout=subprocess.DEVNULL)
    while process.poll() is None and not list((workspace / "runs" / "main" / "checkpoints").glob("step-*")):
        time.sleep(0.05)
    assert process.poll() is None, "it had not ended yet"
    process.kill()
    process.wait()
