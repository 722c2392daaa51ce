"""`dozero doctor`: what this machine is, what it reaches when measured, and what it trains in 1, 5 and 60 minutes."""

from __future__ import annotations

import contextlib
import json
import math
import os
import platform
import re
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dozero.cli.doctor_tables import show, words_in
from dozero.cli.language import narration, pick_language

if TYPE_CHECKING:
    from dozero.device import Device

MINUTES = (1, 5, 60)
# Hoffmann et al. 2022 (https://arxiv.org/abs/2203.15556): for a given amount of arithmetic the loss is lowest at
# about this many training tokens for each parameter.
TOKENS_PER_PARAMETER = 20
# The shape whose training step is timed: large enough that matmul dominates, small enough for a second or two.
REFERENCE_SHAPE = {"d_model": 256, "n_layers": 4, "n_heads": 4, "n_kv_heads": 4, "head_dim": 64, "d_ff": 768}
REFERENCE_VOCAB, REFERENCE_LENGTH, REFERENCE_ROWS = 1024, 128, 16


def doctor(
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    lang: Annotated[str | None, typer.Option("--lang", help="Language of the report: pt or en.")] = None,
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, max=600, help="Time spent measuring.")] = 4.0,
) -> None:
    """Measure this machine and say what it trains in 1, 5 and 60 minutes."""
    language = narration(pick_language(lang))
    words = words_in(language)
    facts = examine(lambda stage: print(words[stage], file=sys.stderr, flush=True), seconds)
    if json_output:
        print(json.dumps(facts, ensure_ascii=False, indent=2))
    else:
        show(facts, language)


def examine(report: Callable[[str], None], seconds: float) -> dict[str, Any]:
    """Return everything the report shows, as plain JSON values; `report` hears which stage begins.

    About half of `seconds` goes to the peaks and half to training steps. Units are in the names of the keys.
    """
    from dataclasses import asdict, replace

    import torch

    from dozero.device import apply_device, pick_device
    from dozero.measure import recommend
    from dozero.train.peak import measure_and_keep

    started = time.perf_counter()
    system = examine_system()  # before the load of our own measurement
    device = pick_device()
    apply_device(device)
    report("measuring_peak")
    peak = measure_and_keep(device, seconds / 2)  # kept for what reports say of the use of this machine
    advice = recommend(peak)
    report("measuring_training")
    chosen = replace(device, dtype=getattr(torch, advice.dtype), threads=advice.threads)
    fastest = max(speed.gflops for speed in peak.matmuls)
    training = examine_training(chosen, fastest, seconds / 2)
    return {
        "system": system,
        "peak": asdict(peak),
        "recommended": asdict(advice),
        "extras": examine_extras(_declared_requirements()),
        "training": training,
        "seconds": time.perf_counter() - started,
    }


def examine_system() -> dict[str, Any]:
    """Return what can be read without measuring; `load` is how many programs wanted a CPU over the last minute."""
    import torch

    from dozero.hardware import available_memory_bytes, cpu_name, total_memory_bytes, usable_cores

    return {
        "os": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "venv": sys.prefix != sys.base_prefix or "CONDA_PREFIX" in os.environ,
        "torch": torch.__version__,
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "cpu": cpu_name(),
        "physical_cores": usable_cores(),
        "logical_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "memory_total_bytes": total_memory_bytes(),
        "memory_available_bytes": available_memory_bytes(),
        "disk_free_bytes": shutil.disk_usage(".").free,
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0,
    }


def examine_training(device: Device, peak_gflops: float, seconds: float) -> dict[str, Any]:
    """Return tokens per second of whole training steps of the reference shape, and what follows for longer runs."""
    import statistics

    import torch

    from dozero.dataset.batch import Batch
    from dozero.device import apply_device, generator
    from dozero.model.cost import model_cost
    from dozero.settings import ModelConfig, RunConfig
    from dozero.train.learner import build_model
    from dozero.train.optim import build_optimizer
    from dozero.train.step import Schedule, train_step

    apply_device(device)
    config = ModelConfig.model_validate({**REFERENCE_SHAPE, "max_seq_len": REFERENCE_LENGTH})
    model = build_model(RunConfig(model=config), REFERENCE_VOCAB, device)
    optimizer = build_optimizer(model, RunConfig().optim, device.dtype)
    shape = (REFERENCE_ROWS, REFERENCE_LENGTH + 1)
    rows = torch.randint(REFERENCE_VOCAB, shape, generator=generator(1)).to(device.type)
    ids, targets = rows[:, :-1], rows[:, 1:]
    batch = Batch(ids, targets, torch.zeros_like(ids), ids.numel())

    def step(number: int) -> float:
        """Return the seconds of one step."""
        started = time.perf_counter()
        train_step(model, optimizer, batch, number, Schedule(1_000_000))
        return time.perf_counter() - started

    began = time.perf_counter()
    step(0)
    times_s = [step(1)]
    while time.perf_counter() - began < seconds:
        times_s.append(step(len(times_s) + 1))
    cost = model_cost(config, REFERENCE_VOCAB)
    parameters = cost.params - cost.embedding_params  # looking up an embedding multiplies nothing
    tokens_per_s = REFERENCE_ROWS * REFERENCE_LENGTH / statistics.median(times_s)
    return training_outlook(parameters, tokens_per_s, peak_gflops)


def training_outlook(parameters: int, tokens_per_s: float, peak_gflops: float) -> dict[str, Any]:
    """Return how far 1, 5 and 60 minutes reach, at 6 FLOPs per parameter and token (Kaplan et al. 2020, section 2.1).

    With F FLOPs/s for t seconds, N parameters see 20 N tokens when 6 * N * 20 N = F t, so N = sqrt(F t / 120).
    Attention scores, which grow with the context, are left out: 7% of the arithmetic of the reference shape.

    >>> training_outlook(1_000_000, 2e5, 2000.0)["budgets"][0]
    {'minutes': 1, 'reference_tokens': 12000000, 'parameters': 774597, 'tokens': 15491933}
    """
    flops_per_s = 6 * parameters * tokens_per_s
    budgets = []
    for minutes in MINUTES:
        best = math.sqrt(flops_per_s * 60 * minutes / (6 * TOKENS_PER_PARAMETER))
        budgets.append(
            {
                "minutes": minutes,
                "reference_tokens": round(tokens_per_s * 60 * minutes),
                "parameters": round(best),
                "tokens": round(best * TOKENS_PER_PARAMETER),
            }
        )
    return {
        "parameters": parameters,
        "tokens_per_s": tokens_per_s,
        "gflops": flops_per_s / 1e9,
        "share_of_peak": flops_per_s / 1e9 / peak_gflops,
        "budgets": budgets,
    }


def _declared_requirements() -> list[str] | None:
    """Return the requirements of dozero as its installed metadata lists them, None if it is not installed."""
    from importlib.metadata import PackageNotFoundError, requires

    try:
        return requires("dozero") or []
    except PackageNotFoundError:
        return None


def examine_extras(requirements: Sequence[str] | None) -> list[dict[str, Any]] | None:
    """Return for each extra which of its packages are here, which are missing, and the line that installs it.

    Left out are requirements that also depend on the platform or the Python version, which pip decides, and extras
    that only name other extras.

    >>> examine_extras(['no-such-package>=1; extra == "test"'])
    [{'name': 'test', 'present': {}, 'missing': ['no-such-package'], 'install': 'pip install "dozero[test]"'}]
    """
    if requirements is None:
        return None
    packages: dict[str, list[str]] = {}
    for requirement in requirements:
        found = re.fullmatch(r"""([\w.-]+)[^;]*;\s*extra\s*==\s*["']([\w.-]+)["']\s*""", requirement)
        if found and found[1] != "dozero":
            packages.setdefault(found[2], []).append(found[1])
    return [_examine_extra(extra, names) for extra, names in packages.items()]


def _examine_extra(extra: str, names: list[str]) -> dict[str, Any]:
    """Return one extra's packages, present ones with their version."""
    from importlib.metadata import PackageNotFoundError, version

    present = {}
    for name in names:
        with contextlib.suppress(PackageNotFoundError):
            present[name] = version(name)
    missing = [name for name in names if name not in present]
    return {"name": extra, "present": present, "missing": missing, "install": f'pip install "dozero[{extra}]"'}
