"""Claim: killed at any moment, curate, tokenizer and pack come to the same bytes, on one process or two."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from claims.claim import Claim, at_most
from claims.scale import write_documents

STAGES = {
    "curate": ["curate", "in.jsonl", "-o", "corpus", "--licence", "MPL-2.0"],
    "tokenizer": ["tokenizer", "corpus", "-o", "tokenizer", "--vocab-size", "1024"],
    "pack": ["pack", "corpus", "tokenizer", "-o", "dataset"],
}
FOLDER_OF = {"curate": "corpus", "tokenizer": "tokenizer", "pack": "dataset"}
HAS_PROCESSES = ("curate", "pack")


def kills(quick: bool) -> Iterator[Claim]:
    """Run each stage once untouched, then again with kills at random moments, and compare every byte."""
    times, megabytes = (2, 4) if quick else (8, 40)
    rng = random.Random(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_documents(folder / "in.jsonl", megabytes, seed=3)
        for stage, command in STAGES.items():
            out = folder / FOLDER_OF[stage]
            seconds = run(folder, command, "1" if stage in HAS_PROCESSES else None)
            expected = content(out)
            different = 0
            for n in range(times):
                shutil.rmtree(out)
                processes = str(1 + n % 2) if stage in HAS_PROCESSES else None
                for _ in range(3):
                    run(folder, command, processes, kill_after=rng.uniform(0.1, 1.0) * seconds)
                run(folder, command, processes)
                different += content(out) != expected
            claim = f"{stage}: results that differ after {3 * times} kills, on 1 and 2 processes"
            yield at_most(claim, different, 0)
        left = [p.name for p in folder.iterdir() if p.name.startswith(".")]
        yield at_most(f"hidden leftovers beside the results {left}", len(left), 0)


def run(folder: Path, command: list[str], processes: str | None, kill_after: float | None = None) -> float:
    """Run a dozero command, or kill it on the way; return its seconds."""
    options = ["--processes", processes] if processes else []
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "dozero", *command, *options], cwd=folder, stdout=subprocess.DEVNULL
    )
    try:
        process.wait(kill_after)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    else:
        assert process.returncode == 0
    return time.perf_counter() - began


def content(folder: Path) -> dict[str, bytes]:
    """Return every file of an artifact but its manifest, which tells the time it took."""
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in folder.rglob("*")
        if p.is_file() and p.name != "manifest.json"
    }
