"""Whether cost grows as it is told: time with size and context, memory with shape, the loader, memory over many steps.

    python benchmarks/scaling.py [parameters context memory loader flat] [--quick] [--json]

`parameters` and `context` hold the time per token against the operations that model/cost.py counts, in units of the
ratio at 3M parameters: past that it may grow by 20% more than they do, at most. That it grows by less counts for us: where
products are fast, they are the lesser part of a small model's step, and an operation becomes cheaper as the model grows.
`memory` holds what a process of three steps grows by at its highest against what model/memory.py tells: what is in use,
where all freed memory goes back to the system at once, must agree; the process as it trains must stay below its bound; `loader` reads from the logs
of real runs which share of a step its batch takes; `flat` trains 10,000 steps and watches the resident memory, then
trains on ten times the text. Each process is one of its own, medians over its steps, shapes in turn. Linux only.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from claims.claim import Claim, at_most, run_claims
from claims.few_steps import FewSteps, few_steps
from claims.long_run import LongRun, long_run

BATCH_TOKENS = 4096
HEAD_DIM = 32
WARM_STEPS = 1
TOLERANCE = 0.2
MEMORY_TOLERANCE = 0.1
# Name: width, layers, inner width. The vocabulary is small beside 3M parameters, as is that of our presets.
SHAPES = {
    "0.3M": (64, 3, 176),
    "1M": (128, 4, 344),
    "3M": (192, 6, 512),
    "10M": (320, 8, 856),
    "30M": (512, 9, 1368),
    "100M": (832, 12, 2216),
}
FEWER_TOKENS = {"10M": 2048, "30M": 2048, "100M": 2048}
"""A step of these, so that it takes seconds."""
FEWER_STEPS = {"30M": 3, "100M": 2}
REFERENCE = "3M"
SMALL = ("0.3M", "1M")
"""Below the reference: their figures are told, not held."""
CONTEXTS = (64, 128, 256, 512, 1024, 2048)
STEPS, ROUNDS = 6, 2
WRITTEN, LIBRARY, FUSED = (f"train.attention={kernel}" for kernel in ("written", "library", "fused"))
MEMORY = (
    ("1M", ("model.max_seq_len=64", FUSED)),
    ("3M", ("model.max_seq_len=264", "model.tie_embeddings=true", FUSED)),
    ("3M", ("model.max_seq_len=264", "model.tie_embeddings=true", LIBRARY)),
    ("10M", ("model.max_seq_len=512", WRITTEN)),
    ("10M", ("model.max_seq_len=512", FUSED)),
    ("10M", ("model.max_seq_len=256", WRITTEN, "train.checkpoint_activations=true")),
    ("10M", ("model.max_seq_len=256", FUSED, "train.checkpoint_activations=true")),
    ("10M", ("model.max_seq_len=256", FUSED, "train.micro_batch_tokens=1024")),
    ("30M", ("model.max_seq_len=1024", FUSED)),
)
LOADED = {"words": (), "stories": ("data.stories=4000",)}
LONG_STEPS, FEW_DOCUMENTS = 10_000, 2_000
QUICK_STEPS = 300


def settings_of(name: str, *more: str) -> list[str]:
    """Return the settings of a shape: rows of 256 tokens, untied, unless told otherwise."""
    d_model, layers, d_ff = SHAPES[name]
    heads = d_model // HEAD_DIM
    return [
        f"model.d_model={d_model}", f"model.n_layers={layers}", f"model.d_ff={d_ff}", f"model.n_heads={heads}",
        f"model.n_kv_heads={heads}", f"model.head_dim={HEAD_DIM}", "model.max_seq_len=256",
        f"train.batch_tokens={FEWER_TOKENS.get(name, BATCH_TOKENS)}", "train.observe_every=0", *more,
    ]  # fmt: skip


def seconds_per_flop(runs: list[FewSteps]) -> float:
    """Return the median seconds of an operation over the steps of some processes, each without its first."""
    return statistics.median(t for run in runs for t in run.times_s[WARM_STEPS:]) / runs[0].flops


def time_in_turn(sides: Mapping[str, list[str]], steps: int, rounds: int) -> dict[str, list[FewSteps]]:
    """Make steps of each of several settings, in turn, and return what the processes told."""
    runs: dict[str, list[FewSteps]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, settings in sides.items():
            runs[name].append(few_steps(settings, min(steps, FEWER_STEPS.get(name, steps))))
    return runs


def ratio_claim(claim: str, ours: float, theirs: float, tolerance: float) -> Claim:
    """Return the claim that two figures agree within a tolerance."""
    ratio = ours / theirs
    return Claim(claim, ours, theirs, ratio, f"1 +- {tolerance:g}", abs(ratio - 1) <= tolerance)


def growth_claim(claim: str, ours: float, theirs: float, name: str) -> Claim:
    """Return the claim that an operation takes little longer than at the reference; of small shapes it is told only."""
    most = theirs * (1 + TOLERANCE)
    if name in SMALL:
        return Claim(claim, ours, theirs, ours / theirs, "(told)", True)
    return Claim(claim, ours, theirs, ours / theirs, f"<= {1 + TOLERANCE:g}", ours <= most)


def tell_speed(name: str, runs: list[FewSteps]) -> str:
    """Return the figures of a shape in one line."""
    first, per_flop = runs[0], seconds_per_flop(runs)
    per_token = per_flop * first.flops / first.tokens
    return (
        f"     {name:<12} {first.params / 1e6:7.2f}M parameters {first.flops / first.tokens / 1e6:9.1f} MFLOP/token"
        f" {per_token * 1e6:9.1f} us/token {1e-9 / per_flop:7.0f} GFLOP/s, attention {first.kernel}"
    )


def dtypes_here() -> tuple[str, ...]:
    """Return the dtypes that this machine multiplies."""
    from dozero.device import multiplies_bfloat16

    return ("float32", "bfloat16") if multiplies_bfloat16() else ("float32",)


def time_against_operations(sides: Mapping[str, list[str]], quick: bool) -> Iterator[Claim]:
    """Yield for each of the settings but the reference its seconds per operation against those of the reference."""
    for dtype in dtypes_here()[: 1 if quick else None]:
        typed = {name: [*settings, f"train.dtype={dtype}"] for name, settings in sides.items()}
        runs = time_in_turn(typed, 3 if quick else STEPS, 1 if quick else ROUNDS)
        for name, told in runs.items():
            print(tell_speed(name, told), flush=True)
        base = seconds_per_flop(runs[REFERENCE]) * 1e12
        for name, told in runs.items():
            if name != REFERENCE:
                claim = f"{name}, {dtype}: ps per operation, against {REFERENCE}"
                yield growth_claim(claim, seconds_per_flop(told) * 1e12, base, name)


def parameters(quick: bool) -> Iterator[Claim]:
    """Time against parameters, rows of 256."""
    yield from time_against_operations({n: settings_of(n) for n in (("3M", "10M") if quick else SHAPES)}, quick)


def context(quick: bool) -> Iterator[Claim]:
    """Time against context, the shape of 10M parameters; the reference is 3M in rows of 256, as in `parameters`."""
    lengths = CONTEXTS[-1:] if quick else CONTEXTS
    contexts = {f"10M, T={T}": settings_of("10M", f"model.max_seq_len={T}") for T in lengths}
    yield from time_against_operations({REFERENCE: settings_of(REFERENCE), **contexts}, quick)


def memory(quick: bool) -> Iterator[Claim]:
    """The most that training holds beside an idle process, in both dtypes where the machine multiplies bfloat16."""
    for name, more in MEMORY[: 1 if quick else None]:
        for dtype in dtypes_here()[: 1 if quick else None]:
            settings = settings_of(name, *more, f"train.dtype={dtype}")
            what = ", ".join(word.partition(".")[2] for word in (*more, f"dtype.{dtype}"))
            exact, run = few_steps(settings, 3, returns_freed=True), few_steps(settings, 3)
            told, grown = exact.alive_bytes / 1e6, exact.grown_bytes / 1e6
            yield ratio_claim(f"memory: MB in use, {name}, {what}", told, grown, MEMORY_TOLERANCE)
            told, grown = run.told_bytes / 1e6, run.grown_bytes / 1e6
            yield at_most(f"memory: MB of the process, {name}, {what}", grown, told)


def loader(quick: bool) -> Iterator[Claim]:
    """The share of a step that its batch takes, from the logs of runs of our presets."""
    steps = 20 if quick else 200
    for preset, more in list(LOADED.items())[: 1 if quick else None]:
        with tempfile.TemporaryDirectory() as folder:
            workspace = Path(folder) / preset
            command = [sys.executable, "-m", "dozero"]
            subprocess.run([*command, "new", str(workspace), "--preset", preset], check=True, capture_output=True)
            settings = (
                f"train.steps={steps}",
                "train.log_every=1",
                "train.max_seconds=0",
                "eval.heldout_docs=1",
                *more,
            )
            subprocess.run([*command, "train", str(workspace / "run.toml"), *settings], check=True, capture_output=True)
            lines = (workspace / "runs" / "main" / "timings.jsonl").read_text(encoding="utf-8").splitlines()
        shares = [tree["batch_share"] for tree in map(json.loads, lines) if "batch_share" in tree]
        yield at_most(
            f"loader: share of a step, preset {preset}, median of {len(shares)}", statistics.median(shares), 0.02
        )


def flat(quick: bool) -> Iterator[Claim]:
    """Resident memory over 10,000 steps of the whole loop, and on ten times the text."""
    steps = QUICK_STEPS if quick else LONG_STEPS
    few, many = (long_run(FEW_DOCUMENTS * times, steps) for times in (1, 10))
    for run in (few, many):
        print(tell_memory(run), flush=True)
    early, late = few.resident_bytes[len(few.resident_bytes) // 10], few.resident_bytes[-1]
    yield ratio_claim(f"flat: resident MB after {steps} steps, against {steps // 10}", late / 1e6, early / 1e6, 0.02)
    yield ratio_claim("flat: resident MB on ten times the text", many.resident_bytes[-1] / 1e6, late / 1e6, 0.05)
    own = "flat: the same without the pages of the dataset's files"
    yield ratio_claim(own, many.own_bytes / 1e6, few.own_bytes / 1e6, 0.05)


def tell_memory(run: LongRun) -> str:
    """Return how the memory of a long run went, in one line."""
    shown = run.resident_bytes[:: max(1, len(run.resident_bytes) // 10)]
    return f"     {run.tokens / 1e6:6.1f}M tokens of text: " + " ".join(f"{b / 1e6:.1f}" for b in shown) + " MB"


if __name__ == "__main__":
    groups = {"parameters": parameters, "context": context, "memory": memory, "loader": loader, "flat": flat}
    run_claims(__doc__, groups)
