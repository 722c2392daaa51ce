"""Where the arithmetic runs: device, dtype, threads, rank and seed as plain values.

Importing this module changes nothing. `pick_device` and the functions beside it only look; `apply_device` is the one place
where global state is set, and only entry points call it.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import os
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from dozero.errors import ConfigError, did_you_mean
from dozero.hardware import read_text, usable_cores

DEVICES = ("auto", "cpu", "cuda", "mps")
DTYPES = ("auto", "float32", "bfloat16")
MAX_THREADS = 1024

# A float32 product is float32 in earnest below this relative error: its own rounding is 2e-7 to 1e-6, that of
# bfloat16 factors 3e-3.
FLOAT32_ERROR = 1e-5
# bfloat16 carries 8 bits of mantissa instead of 24, and more threads cost power and waiting: below this gain in
# speed neither is worth its price.
WORTHWHILE_GAIN = 1.2


@dataclass(frozen=True)
class Device:
    """Where and in which number format a run computes.

    `type` is "cpu", "cuda" or "mps"; `threads` counts CPU threads. `rank` is this process among `world_size`, and
    `local_rank` the same among those of this machine: the number of its GPU.
    """

    type: str
    dtype: torch.dtype
    threads: int
    rank: int = 0
    world_size: int = 1
    local_rank: int = 0


def pick_device(device: str = "auto", dtype: str = "auto", threads: int = 0) -> Device:
    """Return the device asked for, or where it says "auto" (or 0 threads) the best this machine has.

    Rank and world size come from the variables that torchrun sets. Raises ConfigError for a name that is not known
    or hardware that is not here.
    """
    here = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if _known("device", device, DEVICES) == "auto":
        device = next(name for name, is_here in here.items() if is_here)
    if not here[device]:
        usable = ("auto", *(name for name, is_here in here.items() if is_here))
        raise ConfigError(
            "torch finds no such device here", where="device", expected=" or ".join(usable), got=repr(device)
        )
    if isinstance(threads, bool) or not isinstance(threads, int) or not 0 <= threads <= MAX_THREADS:
        expected = f"a whole number from 0 (all physical cores) to {MAX_THREADS}"
        raise ConfigError("impossible number of threads", where="threads", expected=expected, got=repr(threads))
    return Device(
        type=device,
        dtype=auto_dtype(device) if _known("dtype", dtype, DTYPES) == "auto" else getattr(torch, dtype),
        # Processes that share a machine share its cores.
        threads=threads or max(1, usable_cores() // max(1, _torchrun_variable("LOCAL_WORLD_SIZE", 1))),
        rank=_torchrun_variable("RANK", 0),
        world_size=_torchrun_variable("WORLD_SIZE", 1),
        local_rank=_torchrun_variable("LOCAL_RANK", 0),
    )


def _known(where: str, word: str, words: tuple[str, ...]) -> str:
    """Return the word if it is one of those accepted, else raise ConfigError."""
    if word in words:
        return word
    near = did_you_mean(str(word), words) or "auto"
    raise ConfigError("unknown name", where=where, expected=" or ".join(words), got=repr(word), next=near)


def _torchrun_variable(name: str, default: int) -> int:
    """Return one of the whole numbers that torchrun puts in the environment."""
    text = os.environ.get(name, str(default))
    if not re.fullmatch(r"\d+", text):
        where = f"environment variable {name}"
        raise ConfigError("not a number of processes", where=where, expected="a whole number", got=repr(text))
    return int(text)


def auto_dtype(kind: str, has_bfloat16: bool | None = None) -> torch.dtype:
    """Return bfloat16 where the hardware multiplies it, else float32; `has_bfloat16` None means look.

    float16 is never chosen: without scaling the loss its small gradients become zero. MPS gets float32 because not
    all of its kernels take bfloat16.

    >>> auto_dtype("cpu", has_bfloat16=False)
    torch.float32
    """
    if kind == "mps":
        return torch.float32
    if has_bfloat16 is None:
        has_bfloat16 = (
            multiplies_bfloat16() if kind == "cpu" else torch.cuda.is_bf16_supported(including_emulation=False)
        )
    return torch.bfloat16 if has_bfloat16 else torch.float32


def multiplies_bfloat16() -> bool:
    """Return whether this CPU multiplies bfloat16 in hardware (AVX512_BF16, AMX, ARM BF16).

    Asks torch, then the flags that Linux lists; where neither knows, 50 ms of matmul decide whether it is worth it.
    """
    claims = [getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")]
    if any(claim() for claim in claims if claim is not None):
        return True
    listed = bfloat16_is_listed(read_text(Path("/proc/cpuinfo")))
    return _bfloat16_is_faster() if listed is None else listed


def bfloat16_is_listed(cpuinfo: str) -> bool | None:
    """Return whether the text of /proc/cpuinfo names bfloat16 products; None if it lists no features at all.

    >>> bfloat16_is_listed("flags : fpu avx512f avx512_bf16"), bfloat16_is_listed("Features : fp asimd")
    (True, False)
    """
    lines = re.findall(r"^(?:flags|Features)\s*:(.*)$", cpuinfo, flags=re.MULTILINE)
    words = {word for line in lines for word in line.split()}
    return bool(words & {"avx512_bf16", "amx_bf16", "bf16"}) if words else None


@functools.cache
def _bfloat16_is_faster(budget_s: float = 0.05) -> bool:
    """Return whether a product of 256 x 256 matrices is worth doing in bfloat16, timed once per process."""
    seconds = []
    for dtype in (torch.float32, torch.bfloat16):
        a = torch.ones(256, 256, dtype=dtype)
        seconds.append(statistics.median(time_calls(functools.partial(torch.mm, a, a), budget_s / 2)))
    return seconds[0] >= WORTHWHILE_GAIN * seconds[1]


def apply_device(device: Device) -> None:
    """Set what torch and the C library keep globally; calling it again changes nothing.

    * The number of threads.
    * On a CPU, float32 products go to oneDNN instead of MKL if that keeps them float32 (`_float32_precision`).
      Measured on a Zen 4, 2 threads: 178-201 GFLOP/s before, 216-220 after, at a relative error of 4.1e-7 instead
      of 2.5e-7 (1024 x 1024); gradients of 4096 x 384 x 128 went from 119 to 172.
    * On glibc, freed tensors stay in the process. Otherwise each large temporary is mapped and its pages are faulted in
      anew at every step: 30M parameters, 4,096 tokens, 2.2 s before, 1.7 after, in 5% more memory.
    """
    torch.set_num_threads(device.threads)
    torch.set_float32_matmul_precision(_float32_precision() if device.type == "cpu" else "highest")
    if device.type == "cuda":
        torch.cuda.set_device(device.local_rank)
    _keep_freed_memory()


def _float32_precision() -> str:
    """Return "medium" where float32 products then stay float32 in earnest, else "highest".

    "medium" hands them to oneDNN with leave to round the factors to bfloat16. Whether it does depends on the CPU: with
    AVX512_BF16 it was measured to keep to float32; with AMX it rounds, and errs like bfloat16, by PyTorch's own
    figures (https://docs.pytorch.org/docs/stable/notes/mkldnn.html). Hence the test with two products, a few milliseconds.
    Who wants rounding asks for bfloat16; float32 has to mean float32, and the answer must not depend on timing.
    """
    with settings_restored():
        torch.set_float32_matmul_precision("medium")
        errors = (matmul_error(torch.float32, size) for size in (64, 512))
        return "medium" if max(errors) < FLOAT32_ERROR else "highest"


def _keep_freed_memory() -> None:
    """Tell glibc to serve all blocks from the heap and to keep what is freed; elsewhere do nothing."""
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        m_trim_threshold, m_mmap_max = -1, -4  # names of <malloc.h>
        mallopt(m_mmap_max, 0)
        mallopt(m_trim_threshold, -1)  # never


def generator(seed: int, *stream: int) -> torch.Generator:
    """Return a CPU generator whose numbers follow from the named integers alone, e.g. (seed, epoch, step).

    The integers are hashed, so that neighbouring steps share nothing and (1, 23) differs from (12, 3). torch's CPU
    generator uses the lower 32 bits of a seed: among 10,000 streams, two coincide with a chance of about 1%.
    """
    name = ",".join(str(int(number)) for number in (seed, *stream))
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return torch.Generator(device="cpu").manual_seed(int.from_bytes(digest, "little"))


@contextlib.contextmanager
def settings_restored() -> Iterator[None]:
    """Put back the threads and the float32 precision as they were."""
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_float32_matmul_precision(precision)


def matmul_error(dtype: torch.dtype, size: int, kind: str = "cpu") -> float:
    """Return the relative error of a product of normally distributed matrices against float64."""
    a, b = torch.randn(2, size, size, generator=generator(0, size))
    product = (a.to(kind, dtype) @ b.to(kind, dtype)).to("cpu", torch.float64)
    exact = a.double() @ b.double()
    return float((product - exact).norm() / exact.norm())


def time_calls(run: Callable[[], object], budget_s: float, kind: str = "cpu") -> list[float]:
    """Return the times of a call in seconds, at least one, as many as the budget allows, after one that warms up."""
    wait = {"cuda": torch.cuda.synchronize, "mps": torch.mps.synchronize}.get(kind, int)
    run()
    wait()
    times_s: list[float] = []
    while not times_s or (sum(times_s) + times_s[-1] < budget_s and len(times_s) < 200):
        started = time.perf_counter()
        run()
        wait()
        times_s.append(time.perf_counter() - started)
    return times_s
