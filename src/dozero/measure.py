"""The measured peak of this machine: how fast it multiplies and copies, and what that speaks for.

Nothing here is set for good: what a measurement changes it puts back.
"""

from __future__ import annotations

import functools
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from dozero.device import FLOAT32_ERROR, WORTHWHILE_GAIN, Device, matmul_error, settings_restored, time_calls


@dataclass(frozen=True)
class MatmulSpeed:
    """The speed of one way to multiply two size x size matrices.

    `name` is the dtype, or "float32_onednn" for float32 by the route that `apply_device` takes. `relative_error` is
    |product - exact| / |exact| in the Frobenius norm, against float64, with the rounding of the factors included.
    """

    name: str
    threads: int
    size: int
    gflops: float
    relative_error: float


@dataclass(frozen=True)
class MachinePeak:
    """What this machine reached just now. `copy_gb_s` (1e9 bytes/s) counts a byte twice: once read, once written."""

    type: str
    threads: int
    matmuls: tuple[MatmulSpeed, ...]
    copy_gb_s: float
    copy_bytes: int

    def gflops(self, name: str, threads: int | None = None) -> float:
        """Return the speed of one way to multiply, 0.0 if it was not measured; threads None means all."""
        wanted = (name, self.threads if threads is None else threads)
        return max((speed.gflops for speed in self.matmuls if (speed.name, speed.threads) == wanted), default=0.0)

    def on_all_threads(self) -> tuple[MatmulSpeed, ...]:
        """Return the speeds without those measured on one thread for comparison."""
        return tuple(speed for speed in self.matmuls if speed.threads == self.threads)


def measure_peak(device: Device, seconds: float = 2.0) -> MachinePeak:
    """Return medians over repeated products and copies, all within about `seconds`.

    On a CPU: float32 as it comes, float32 through oneDNN, bfloat16, and the device's dtype on one thread. A program
    running beside it slows what is measured, as it would slow a training run.
    """
    onednn = device.type == "cpu" and torch.backends.mkldnn.is_available()
    names = ["float32", *(["float32_onednn"] if onednn else []), "bfloat16"]
    ways = [(name, device.threads) for name in names]
    if device.type == "cpu" and device.threads > 1:
        chosen = "bfloat16" if device.dtype == torch.bfloat16 else names[-2]
        ways.append((chosen, 1))
    budget_s = 0.9 * seconds / (len(ways) + 1)
    with settings_restored():
        speeds = tuple(_matmul_speed(name, threads, device.type, budget_s) for name, threads in ways)
        torch.set_num_threads(device.threads)
        copy_gb_s, copy_bytes = _copy_speed(device.type, budget_s)
    return MachinePeak(device.type, device.threads, speeds, copy_gb_s, copy_bytes)


def _matmul_speed(name: str, threads: int, kind: str, budget_s: float) -> MatmulSpeed:
    """Return the speed of the largest product of which a handful fit the budget: small ones measure the overhead."""
    torch.set_float32_matmul_precision("medium" if name == "float32_onednn" else "highest")
    dtype = torch.bfloat16 if name == "bfloat16" else torch.float32
    ends = time.perf_counter() + budget_s
    torch.set_num_threads(1)  # threads that wait for one another on a busy machine would spoil the estimate
    probe_s = min(time_calls(_multiplication(256, dtype, kind), 0.005, kind))
    torch.set_num_threads(threads)
    sizes = (512, 1024, 2048) if kind == "cpu" else (512, 1024, 2048, 4096, 8192)
    size = max((n for n in sizes if 5 * probe_s * (n / 256) ** 3 / threads < budget_s), default=256)
    error = matmul_error(dtype, min(size, 512), kind)
    times_s = time_calls(_multiplication(size, dtype, kind), ends - time.perf_counter(), kind)
    return MatmulSpeed(name, threads, size, 2 * size**3 / statistics.median(times_s) / 1e9, error)


def _multiplication(size: int, dtype: torch.dtype, kind: str) -> Callable[[], object]:
    """Return a call that multiplies two size x size matrices into memory that is there already."""
    a = torch.rand(size, size, device=kind).to(dtype)
    return functools.partial(torch.mm, a, a, out=torch.empty_like(a))


def _copy_speed(kind: str, budget_s: float) -> tuple[float, int]:
    """Return (GB/s, bytes of one copy); 128 MiB is more than the caches of most machines hold."""
    ends = time.perf_counter() + budget_s
    source = torch.ones(32 << 20, dtype=torch.float32, device=kind)
    target = torch.empty_like(source)
    times_s = time_calls(lambda: target.copy_(source), ends - time.perf_counter(), kind)
    return 2 * source.nbytes / statistics.median(times_s) / 1e9, source.nbytes


@dataclass(frozen=True)
class Recommendation:
    """The dtype and threads to use on this machine, each with its reason by language ("pt", "en")."""

    dtype: str
    threads: int
    dtype_reason: dict[str, str]
    threads_reason: dict[str, str]


def recommend(peak: MachinePeak) -> Recommendation:
    """Return what the measurement speaks for: bfloat16, and all threads, only if 20% faster than the plainer choice."""
    exact = [speed.gflops for speed in peak.on_all_threads() if speed.relative_error < FLOAT32_ERROR]
    float32 = max(exact, default=peak.gflops("float32"))
    bfloat16 = peak.gflops("bfloat16")
    one = next((speed for speed in peak.matmuls if speed.threads == 1 < peak.threads), None)
    gain = peak.gflops(one.name) / one.gflops if one else math.inf
    takes_bfloat16 = bfloat16 >= WORTHWHILE_GAIN * float32 and peak.type != "mps"
    times = bfloat16 / float32
    return Recommendation(
        dtype="bfloat16" if takes_bfloat16 else "float32",
        threads=peak.threads if gain >= WORTHWHILE_GAIN else 1,
        dtype_reason={
            "pt": f"bfloat16 multiplica {times:.1f} vezes mais rápido, com menos dígitos".replace(".", ","),
            "en": f"bfloat16 multiplies {times:.1f} times as fast, with fewer digits",
        },
        threads_reason={
            "pt": f"{peak.threads} threads: {gain:.1f} vezes uma".replace(".", ",")
            if one
            else "só uma contagem medida",
            "en": f"{peak.threads} threads: {gain:.1f} times one" if one else "only one count measured",
        },
    )
