"""Training speed at two shapes: ours against transformers' Trainer and litgpt's pretrain, and against the machine's peak.

    python benchmarks/training.py [stories thirty exact] [--quick] [--json]

Every side trains the same shape on the same number of random tokens a step, whole processes in turn, medians over the
steps past their warm-up. The peers need `accelerate` and `litgpt` besides; $DOZERO_PEERS_PYTHON names a Python that
has them, where that is not this one. About 15 minutes on two cores without bfloat16, where litgpt's default is slow.
`exact` trains the same model in float32 and in bfloat16 and holds the difference against what another seed makes.
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
PEERS_PYTHON = os.environ.get("DOZERO_PEERS_PYTHON", sys.executable)
ROUNDS, WARM = 2, 3
EXACT_STEPS, SEEDS = 500, 3
LONG = 20_000  # steps of a run that is worth compiling for, if it saves time
STORIES = {
    "d_model": 128,
    "n_layers": 2,
    "n_heads": 4,
    "n_kv_heads": 4,
    "head_dim": 32,
    "d_ff": 352,
    "max_seq_len": 264,
}
THIRTY = {
    "d_model": 512,
    "n_layers": 8,
    "n_heads": 8,
    "n_kv_heads": 8,
    "head_dim": 64,
    "d_ff": 1408,
    "max_seq_len": 256,
}


@dataclass(frozen=True)
class Shape:
    """A model and a step: rows that fill the context; how many steps each side takes."""

    name: str
    model: dict[str, int]
    vocab_size: int
    rows: int
    steps: int
    slow_rows: int
    slow_steps: int
    """Of litgpt where the machine does not multiply its default, bfloat16: a step of the full size takes many minutes."""


def stories(quick: bool) -> Iterator[Claim]:
    """The shape of `dozero hello stories`."""
    yield from measure(Shape("stories", STORIES, 2048, 8, 8 if quick else 40, 8, 5 if quick else 10), quick)


def thirty(quick: bool) -> Iterator[Claim]:
    """Thirty million parameters."""
    yield from measure(Shape("30M", THIRTY, 8192, 16, 4 if quick else 7, 1, 4), quick)


def measure(shape: Shape, quick: bool) -> Iterator[Claim]:
    """Run all sides in turn and claim the ratios of their tokens per second."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        flops = write_shape(shape, folder)
        sides = commands(shape, folder)
        paces: dict[str, list[float]] = {side: [] for side in sides}
        peaks = []
        for _ in range(1 if quick else ROUNDS):
            peaks.append(peak_flops())
            for side, command in sides.items():
                paces[side].append(tokens_per_s(side, command))
    pace = {side: statistics.median(values) for side, values in paces.items()}
    ours, peak = pace.pop("ours"), statistics.median(peaks)
    share = ours * flops / peak
    yield Claim(f"{shape.name}: share of the matmul peak (GFLOP/s)", ours * flops / 1e9, peak / 1e9, share, ">= 0.5, aim 0.65", share >= 0.5)  # fmt: skip
    for side in ("Trainer", "litgpt"):
        if side in pace:
            yield Claim(f"{shape.name}: tokens/s beside {side} as it comes", ours, pace[side], ours / pace[side], ">= 3", ours >= 3 * pace[side])  # fmt: skip
    best = max(pace, key=lambda side: pace[side])
    yield Claim(f"{shape.name}: tokens/s beside the best of theirs: {best}", ours, pace[best], ours / pace[best], ">= 1", ours >= pace[best])  # fmt: skip


def exact(quick: bool) -> Iterator[Claim]:
    """The held-out loss after 500 steps in bfloat16 beside float32: of words, where bfloat16 is not multiplied and slow."""
    from dozero.device import multiplies_bfloat16

    preset, steps = "stories" if multiplies_bfloat16() else "words", 20 if quick else EXACT_STEPS
    with tempfile.TemporaryDirectory() as name:
        losses = {
            dtype: [loss_after(steps, dtype, seed, preset, Path(name) / f"{dtype}-{seed}") for seed in range(SEEDS)]
            for dtype in ("float32", "bfloat16")
        }
    floats, halves = losses.values()
    apart = max(abs(a - b) for a, b in zip(floats, halves, strict=True))
    noise = max(floats) - min(floats)
    claim = f"exact: nats between bfloat16 and float32, {preset}, {steps} steps (theirs: between seeds)"
    yield Claim(claim, apart, noise, apart / noise, "<= 1", apart <= noise)


def loss_after(steps: int, dtype: str, seed: int, preset: str, folder: Path) -> float:
    """Train a preset for so many steps and return its loss of held-out text."""
    command = [sys.executable, "-m", "dozero"]
    subprocess.run([*command, "new", str(folder), "--preset", preset], check=True, capture_output=True)
    settings = (f"train.steps={steps}", f"train.dtype={dtype}", f"seed={seed}", "train.max_seconds=0")
    subprocess.run([*command, "train", str(folder / "run.toml"), *settings], check=True, capture_output=True)
    lines = (folder / "runs" / "main" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    loss = float([tree["heldout_loss"] for tree in map(json.loads, lines) if "heldout_loss" in tree][-1])
    print(f"{preset}, {dtype}, seed {seed}: {loss:.4f} nats a token", file=sys.stderr)
    return loss


def commands(shape: Shape, folder: Path) -> dict[str, list[str]]:
    """Return the command of each side: as it comes, and the peer in every setting that may help it on this machine."""
    from dozero.device import multiplies_bfloat16

    size = ["--rows", str(shape.rows), "--steps", str(shape.steps)]
    trainer = [PEERS_PYTHON, str(HERE / "peers" / "hf_trainer.py"), str(folder), *size]
    slow = ["--rows", str(shape.slow_rows), "--steps", str(shape.slow_steps)]
    litgpt = [PEERS_PYTHON, str(HERE / "peers" / "litgpt_pretrain.py"), str(folder)]
    litgpt += size if multiplies_bfloat16() else slow
    sides = {"ours": [sys.executable, __file__, "--steps-of", str(folder), str(shape.rows), str(shape.steps)]}
    sides |= {"Trainer": trainer, "litgpt": litgpt}
    sides["Trainer, eager attention"] = [*trainer, "--attention", "eager", "--onednn"]
    sides["Trainer, compiled"] = [*trainer, "--compile", "--onednn"]
    if multiplies_bfloat16():
        sides["litgpt, all rows at once"] = [*litgpt, "--at-once", str(shape.rows)]
        sides["Trainer, autocast"] = [*trainer, "--bf16", "autocast", "--attention", "eager"]
        sides["Trainer, pure bfloat16"] = [*trainer, "--bf16", "pure", "--attention", "eager"]
        sides["Trainer, pure bfloat16, compiled"] = [*trainer, "--bf16", "pure", "--attention", "eager", "--compile"]
    return sides


def tokens_per_s(side: str, command: list[str]) -> float:
    """Run a side in a process of its own and return the median of its steps."""
    environment = {k: v for k, v in os.environ.items() if k != "GOMP_SPINCOUNT"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(f"{side}: {' '.join(command)} failed\n{done.stderr[-2000:]}")
    pace = statistics.median(json.loads(done.stdout.splitlines()[-1])["tokens_per_s"])
    print(f"{side}: {pace:.0f} tokens/s", file=sys.stderr)
    return pace


def write_shape(shape: Shape, folder: Path) -> float:
    """Write the shape as a model's config.json; return the operations that training takes a token."""
    from dozero.model.cost import model_cost
    from dozero.model.hf import hf_config
    from dozero.settings import ModelConfig

    config = ModelConfig(**shape.model, tie_embeddings=True)
    (folder / "config.json").write_text(json.dumps(hf_config(config, shape.vocab_size)), encoding="utf-8")
    return model_cost(config, shape.vocab_size).training_flops_per_token


def peak_flops() -> float:
    """Return the operations a second of the fastest product in the dtype that we train in."""
    from dozero.device import pick_device
    from dozero.measure import measure_peak

    device = pick_device()
    names = ["bfloat16"] if "bfloat16" in str(device.dtype) else ["float32", "float32_onednn"]
    peak = measure_peak(device)
    return 1e9 * max(peak.gflops(name) for name in names)


def our_steps(folder: Path, rows: int, steps: int) -> None:
    """Train on random rows, as the loop of a long run does, and print the pace of each step."""
    import torch

    from dozero.dataset.batch import Batch
    from dozero.device import apply_device, pick_device
    from dozero.model.hf import read_hf_config
    from dozero.settings import RunConfig, TrainConfig
    from dozero.train.attention import settle_attention
    from dozero.train.compiled import settle_compile
    from dozero.train.learner import build_model
    from dozero.train.optim import build_optimizer
    from dozero.train.step import Schedule, train_step

    device = pick_device()
    apply_device(device)
    model_config, vocab_size = read_hf_config(folder / "config.json")
    tokens = rows * model_config.max_seq_len
    config = RunConfig(model=model_config, train=TrainConfig(steps=LONG, batch_tokens=tokens))
    model = build_model(config, vocab_size, device)
    settle_attention(model, config, device, {})
    settle_compile(model, config, device, {})
    optimizer = build_optimizer(model, config.optim, device.dtype)
    T = model_config.max_seq_len
    ids = torch.randint(vocab_size, (steps, rows, T + 1), generator=torch.Generator().manual_seed(0))
    paces = []
    for step in range(steps):
        began = time.perf_counter()
        batch = Batch(ids[step, :, :-1], ids[step, :, 1:], torch.zeros(rows, T, dtype=torch.int64), rows * T)
        train_step(model, optimizer, batch, step, Schedule(1000))
        paces.append(rows * T / (time.perf_counter() - began))
    print(json.dumps({"tokens_per_s": paces[WARM:]}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--steps-of"]:
        our_steps(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
    else:
        run_claims(__doc__, {"stories": stories, "thirty": thirty, "exact": exact})
