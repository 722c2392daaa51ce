"""What several processes cost and give: two of one thread against one of two threads, on the `stories` model.

    python benchmarks/parallel.py [speed] [slots] [--quick] [--json]

Whole runs of the command line, the two sides in turn, medians over their steps. Exit 1 if a bar falls short. About
five minutes on two cores.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from claims.claim import Claim, at_least, run_claims

STORIES = 4000
WARM_STEPS = 5
SETTINGS = (
    f"data.stories={STORIES}",
    "train.max_seconds=0",
    *(f"train.{verb}_every=100000" for verb in ("eval", "sample", "save")),
    "eval.heldout_docs=1",
)


def train_steps(workspace: Path, name: str, processes: int, threads: int, steps: int, *settings: str) -> list[float]:
    """Train so many steps in a run of its own and return the tokens a second of each, without the first few."""
    from dozero.testing import torchrun_command

    program = ("-m", "dozero", "train", "run.toml", *SETTINGS, f"train.steps={steps}", f"train.threads={threads}")
    program = (*program, *settings, "--name", name, "--json")
    command = [sys.executable, *program] if processes == 1 else torchrun_command(processes, *program)
    done = subprocess.run(
        command, check=False, cwd=workspace, env=_environment(threads), capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    events = (json.loads(line) for line in done.stdout.splitlines())
    return [e["tokens_per_s"] for e in events if e["event"] == "Stepped" and e["step"] > WARM_STEPS]


def _environment(threads: int) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": str(threads)}


def compare(label: str, bar: float | None, quick: bool, *settings: str) -> Claim:
    """Return the claim about tokens a second of two processes of one thread, over one process of two threads."""
    steps, rounds = (12, 1) if quick else (45, 3)
    speeds: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder) / "stories"
        new = [sys.executable, "-m", "dozero", "new", str(workspace), "--preset", "stories"]
        subprocess.run(new, check=True, capture_output=True)
        for turn in range(rounds):
            for processes in (1, 2):
                speeds[processes] += train_steps(
                    workspace, f"p{processes}-{turn}", processes, 3 - processes, steps, *settings
                )
    ours, theirs = (statistics.median(speeds[processes]) for processes in (2, 1))
    claim = f"{label}: two processes of one thread, tokens/s over one process of two"
    if bar is None:
        return Claim(claim, ours, theirs, ours / theirs, "(told)", True)
    return Claim(claim, ours, theirs, ours / theirs, f">= {bar:g}", at_least(claim, ours / theirs, bar).holds)


def speed(quick: bool) -> Iterator[Claim]:
    """Gradients summed by the library."""
    yield compare("stories, fast", 0.85, quick)


def slots(quick: bool) -> Iterator[Claim]:
    """Gradients added in order, for equal bits: what that costs is told, no bar."""
    yield compare("stories, in 4 slots", None, quick, "train.verify_slots=4")


if __name__ == "__main__":
    run_claims(__doc__, {"speed": speed, "slots": slots})
