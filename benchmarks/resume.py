"""What training claims about being killed: no run lost, no bit different; and no flipped bit of a checkpoint unnoticed.

    python benchmarks/resume.py [kills bit_flips] [--quick] [--json]

`kills` trains runs of a small model on words as `dozero train --prove-resume` does, 20 SIGKILLs each at random moments,
and tells after each group what came of it: 200 kills, or 20 with --quick. `bit_flips` flips one random bit at a time in
the files of a checkpoint, ours and those that a Trainer writes (safetensors for weights, torch.save for the optimizer),
and counts what opening them finds. About a quarter of an hour on two cores; --quick takes two minutes.
"""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from claims.claim import Claim, at_least, at_most, run_claims
from safetensors.torch import load_file, save_file

from dozero.artifact import open_artifact
from dozero.device import pick_device
from dozero.errors import DozeroError
from dozero.pipeline.prove import Killed, Proof, percentile, prove_resume, shorten
from dozero.pipeline.stages import Workspace, prepared
from dozero.testing import tiny_config, tiny_dataset, tiny_workspace
from dozero.train.checkpoint import list_checkpoints
from dozero.train.loop import train

KILLS_EACH = 20
SETTINGS = (
    "train.steps=160",
    "model.d_model=64",
    "model.head_dim=32",
    "model.d_ff=128",
    "model.n_layers=2",
    "train.batch_tokens=512",
)
FLIPS = 50


def kills(quick: bool) -> Iterator[Claim]:
    """Kill runs at random moments and compare each with one that nobody killed."""
    proofs: list[Proof] = []
    recoveries: list[float] = []
    lost = 0
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        tiny_workspace(root, *SETTINGS)
        config = tiny_config(*SETTINGS, f"data.source={root / 'words.txt'}")
        workspace = Workspace(root)
        prepared(config, workspace)
        for seed in range(1 if quick else 10):
            settings = shorten(config.model_copy(update={"seed": seed}), steps=160)
            copies = root / f"copies-{seed}"
            story = prove_resume(settings, workspace.dataset, workspace.tokenizer, copies, KILLS_EACH, seed)
            try:
                events = list(story)
            except DozeroError as error:  # a process that did not come up again
                lost += 1
                print(f"     lost: {error}", flush=True)
                continue
            proofs += [event for event in events if isinstance(event, Proof)]
            recoveries += [event.recovery_s for event in events if isinstance(event, Killed) and event.recovery_s]
            shutil.rmtree(copies)
    print(table(proofs, lost, recoveries), flush=True)
    count = sum(proof.kills for proof in proofs)
    yield at_least("kills: processes ended by SIGKILL at random moments", count, KILLS_EACH * (1 if quick else 10))
    yield at_most("kills: runs that were lost", lost, 0)
    yield at_most("kills: runs that ended with a different bit", sum(p.difference is not None for p in proofs), 0)
    yield at_most("kills: steps lost by one of them", max(p.most_steps_lost for p in proofs), 20)


def table(proofs: list[Proof], lost: int, recoveries: list[float]) -> str:
    """Return what happened as lines of a table."""
    rows = {
        "kills": sum(proof.kills for proof in proofs),
        "runs": len(proofs) + lost,
        "lost runs": lost,
        "runs with different bits": sum(proof.difference is not None for proof in proofs),
        "most steps lost by a kill": max(proof.most_steps_lost for proof in proofs),
        "recovery p50 / p99 (start to first step)": f"{percentile(recoveries, 0.5):.2f} s / {percentile(recoveries, 0.99):.2f} s",
    }
    return "\n".join(f"     {name:<42} {value}" for name, value in rows.items())


def bit_flips(quick: bool) -> Iterator[Claim]:
    """Flip bits in checkpoints and count how many are found when it is opened."""
    flips = 10 if quick else FLIPS
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        config = tiny_config()
        dataset, tokenizer = tiny_dataset(root / "dataset")
        for _ in train(config, dataset, tokenizer, root / "run", pick_device("cpu", "float32", 1)):
            pass
        ours = list_checkpoints(root / "run")[0]
        theirs = root / "trainer"
        theirs.mkdir()
        save_file(load_file(ours / "model.safetensors"), theirs / "model.safetensors")
        torch.save(load_file(ours / "optim.safetensors"), theirs / "optimizer.pt")
        readers: dict[Path, Callable[[Path], object]] = {
            theirs / "model.safetensors": load_file,
            theirs / "optimizer.pt": lambda file: torch.load(file, weights_only=True),
        }
        found = [
            count_found(file, flips, lambda _: open_artifact(ours, "checkpoint")) for file in sorted(ours.iterdir())
        ]
        peers = {file.name: count_found(file, flips, read) for file, read in readers.items()}
    share, total = sum(found) / (flips * len(found)), sum(peers.values()) / (flips * len(peers))
    print(f"     found by the peer's readers, of {flips} flips each: {peers}", flush=True)
    claim = f"bit flips: share found of {flips} in each file of a checkpoint; theirs: safetensors, torch.save"
    yield Claim(claim, share, total, share / total if total else share, "== 1", share == 1)


def count_found(file: Path, flips: int, read: Callable[[Path], object]) -> int:
    """Return how many of so many single flipped bits make reading fail; the file is then as it was."""
    content, draw, found = file.read_bytes(), random.Random(file.name), 0
    for _ in range(flips):
        flipped = bytearray(content)
        flipped[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        file.write_bytes(flipped)
        try:
            read(file)
        except Exception:  # noqa: BLE001 - whatever a foreign reader raises, it noticed
            found += 1
    file.write_bytes(content)
    return found


if __name__ == "__main__":
    run_claims(__doc__, {"kills": kills, "bit_flips": bit_flips})
