"""Characters of a collection of plays: ours against the plain recipe, time to its loss and loss in its time.

    python benchmarks/speedrun.py [race] [--quick] [--json]

The first 90% of the text train, the last 10% are held out. Both sides are scored on all of the latter, in blocks of 64
characters that are read apart, ours as transformers opens it. Processes in turn, three seeds, medians; a side's seconds
are those of training, whole commands are told beside. Needs ../shared/data/tinyshakespeare.txt, or another text named
by $DOZERO_PLAYS. About 12 minutes on two cores; --quick takes two.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from claims.claim import Claim, run_claims

HERE = Path(__file__).resolve().parent
PLAYS = Path(os.environ.get("DOZERO_PLAYS", HERE.parents[1] / "shared" / "data" / "tinyshakespeare.txt"))
SEEDS = 3
IN_TIME = 0.96
"""Of the plain recipe's time, what ours is given: its last checkpoint comes on top."""
BLOCK = 64


@dataclass(frozen=True)
class Run:
    """One training: its seconds, those of the whole command, and nats per held-out character after it."""

    seconds: float
    whole: float
    nats: float


def race(quick: bool) -> Iterator[Claim]:
    """The plain recipe, ours as fast as it gets to the same loss, and ours for the same time; in turn for each seed."""
    plain, fast, good = [], [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_texts(folder)
        for seed in range(1 if quick else SEEDS):
            plain.append(plain_run(folder, seed, quick))
            fast.append(our_run(folder, seed, "fast"))
            good.append(our_run(folder, seed, "good", f"train.max_seconds={plain[-1].seconds * IN_TIME:.1f}"))
    theirs, ours = median_of(plain), median_of(fast)
    reached = all(mine.nats <= other.nats for other, mine in zip(plain, fast, strict=True))
    yield Claim("to its loss: nats a character", ours.nats, theirs.nats, ours.nats / theirs.nats, "<= 1 on each seed", reached)  # fmt: skip
    speedup = statistics.median(other.seconds / mine.seconds for other, mine in zip(plain, fast, strict=True))
    yield Claim("to its loss: seconds of training (ratio: times faster)", ours.seconds, theirs.seconds, speedup, ">= 15, aim 25", speedup >= 15)  # fmt: skip
    yield Claim("to its loss: seconds of the whole command", ours.whole, theirs.whole, theirs.whole / ours.whole, "told", True)  # fmt: skip
    ours = median_of(good)
    yield Claim("in its time: nats a character", ours.nats, theirs.nats, ours.nats / theirs.nats, "< 1.53", ours.nats < 1.53)  # fmt: skip
    share = statistics.median(mine.seconds / other.seconds for other, mine in zip(plain, good, strict=True))
    yield Claim("in its time: seconds of training", ours.seconds, theirs.seconds, share, "<= 1", share <= 1)


def median_of(runs: list[Run]) -> Run:
    """Return the median of each figure."""
    return Run(
        *(statistics.median(column) for column in zip(*((r.seconds, r.whole, r.nats) for r in runs), strict=True))
    )


def plain_run(folder: Path, seed: int, quick: bool) -> Run:
    """Train the plain recipe."""
    command = [sys.executable, str(HERE / "peers" / "plain_gpt.py"), "train.txt", "heldout.txt", f"--seed={seed}"]
    environment = {k: v for k, v in os.environ.items() if k != "GOMP_SPINCOUNT"}
    began = time.perf_counter()
    out = subprocess.run(
        command + (["--steps=200"] if quick else []), cwd=folder, env=environment, capture_output=True, text=True, check=True
    ).stdout  # fmt: skip
    result = json.loads(out)
    return told("plain", seed, Run(result["train_seconds"], time.perf_counter() - began, result["nats_per_character"]))


def our_run(folder: Path, seed: int, way: str, *more: str) -> Run:
    """Train by `dozero train` with the settings of this folder named `way`, and score its model with transformers."""
    workspace = folder / f"{way}-{seed}"
    workspace.mkdir()
    settings = (HERE / "settings" / f"plays_{way}.toml").read_text(encoding="utf-8")
    (workspace / "run.toml").write_text(
        settings.replace("PLAYS", (folder / "train.jsonl").as_posix()), encoding="utf-8"
    )
    command = [sys.executable, "-m", "dozero", "train", "run.toml", f"seed={seed}", *more, "--json"]
    began = time.perf_counter()
    out = subprocess.run(command, cwd=workspace, capture_output=True, text=True, encoding="utf-8", check=True).stdout
    whole = time.perf_counter() - began
    finished = next(e for e in map(json.loads, out.splitlines()) if e["event"] == "Finished")
    nats = nats_per_character(workspace / "runs" / "main" / "model", folder / "heldout.txt")
    return told(way, seed, Run(finished["seconds"], whole, nats))


def told(side: str, seed: int, run: Run) -> Run:
    """Print a run on its way to the claims, and return it."""
    print(f"seed {seed}, {side}: {run.seconds:.1f} s of training, {run.whole:.1f} s whole, {run.nats:.4f} nats a character", file=sys.stderr)  # fmt: skip
    return run


def write_texts(folder: Path) -> None:
    """Write the two parts of the plays, the first also as documents of some speeches each."""
    text = PLAYS.read_text(encoding="utf-8")
    cut = len(text) * 9 // 10
    (folder / "train.txt").write_text(text[:cut], encoding="utf-8")
    (folder / "heldout.txt").write_text(text[cut:], encoding="utf-8")
    speeches = text[:cut].split("\n\n")
    documents = ["\n\n".join(speeches[at : at + 40]) + "\n\n" for at in range(0, len(speeches), 40)]
    lines = [json.dumps({"text": document, "licence": "public-domain"}) + "\n" for document in documents]
    (folder / "train.jsonl").write_text("".join(lines), encoding="utf-8")


def nats_per_character(model_folder: Path, heldout_file: Path) -> float:
    """Return the mean surprise on all of a text, cut into blocks that are read apart, by transformers alone."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    text = heldout_file.read_text(encoding="utf-8")
    ids = torch.tensor(tokenizer(text, add_special_tokens=False)["input_ids"])
    assert len(ids) == len(text), "a token a character"
    total, count = 0.0, (len(ids) - 1) // BLOCK
    whole = (ids[: count * BLOCK].view(count, BLOCK), ids[1 : count * BLOCK + 1].view(count, BLOCK))
    rest = (ids[None, count * BLOCK : -1], ids[None, count * BLOCK + 1 :])
    with torch.no_grad():
        for inputs, targets in (*zip(*(part.split(256) for part in whole), strict=True), rest):
            logits = model(inputs).logits.flatten(0, 1)
            total += torch.nn.functional.cross_entropy(logits, targets.flatten(), reduction="sum").item()
    return total / (len(ids) - 1)


if __name__ == "__main__":
    run_claims(__doc__, {"race": race})
