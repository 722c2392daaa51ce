"""The fastest products this machine was ever seen to make, measured once and kept in the user's cache folder.

A missing, damaged or read-only cache costs a measurement, never a run.
"""

from __future__ import annotations

import json
import os
import platform
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from dozero.device import FLOAT32_ERROR, Device, MachinePeak, measure_peak
from dozero.hardware import cpu_name

WORTH_MEASURING_S = 120.0
"""A run of this length deserves the second that a measurement takes."""
MEASURE_S = 1.0


def peak_file() -> Path:
    """Return the file that keeps the peaks: dozero/peaks.json under XDG_CACHE_HOME, else ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dozero" / "peaks.json"


def known_peak(device: Device) -> float | None:
    """Return the operations a second measured on this machine for the device's dtype and threads, or None."""
    gflops = _read().get(_key(device))
    return gflops * 1e9 if isinstance(gflops, int | float) and gflops > 0 else None


def remember_peak(device: Device, peak: MachinePeak) -> float | None:
    """Keep a measurement for the device's dtype and return it in operations a second; None if it has none.

    What counts as float32 are the products that stay float32 in earnest. The faster of two measurements is kept: what
    slows one is a neighbour, not the machine.
    """
    name = str(device.dtype).removeprefix("torch.")
    exact = name == "float32"
    speeds = [
        s.gflops
        for s in peak.on_all_threads()
        if (s.relative_error < FLOAT32_ERROR if exact else s.name == name)
    ]
    if not speeds:
        return None
    key, kept = _key(device), _read()
    before = kept.get(key)
    gflops = max([*speeds, before] if isinstance(before, int | float) else speeds)
    with suppress(OSError):
        file = peak_file()
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_name(f".{file.name}.{os.getpid()}")
        temporary.write_text(json.dumps(kept | {key: round(gflops, 1)}, indent=1), encoding="utf-8")
        temporary.replace(file)
    return gflops * 1e9


def find_peak(device: Device, trained_s: float) -> float | None:
    """Return the peak known, else measured now if training took long enough to deserve it, else None."""
    known = known_peak(device)
    if known is not None or trained_s < WORTH_MEASURING_S:
        return known
    return remember_peak(device, measure_peak(device, MEASURE_S))


def _key(device: Device) -> str:
    name = cpu_name() if device.type == "cpu" else torch.cuda.get_device_name() if device.type == "cuda" else device.type
    dtype = str(device.dtype).removeprefix("torch.")
    return f"{platform.node()}, {name}, {device.threads} threads, {dtype}, torch {torch.__version__}"


def _read() -> dict[str, Any]:
    try:
        kept = json.loads(peak_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}
