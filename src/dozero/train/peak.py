"""The fastest products this machine was ever seen to make, measured once and kept (`kept`)."""

from __future__ import annotations

import platform
import time
from dataclasses import replace

import torch

from dozero.device import FLOAT32_ERROR, Device
from dozero.hardware import cpu_name
from dozero.measure import MachinePeak, measure_peak
from dozero.train.kept import keep, read_kept

FILE = "peaks.json"

WORTH_MEASURING_S = 120.0
"""A run of this length deserves the second that a measurement takes."""
MEASURE_S = 1.0
QUIET_SHARE = 0.7
"""Of the time of our threads, at least so much must have been ours: else others were computing, and it is no peak."""


def known_peak(device: Device) -> float | None:
    """Return the operations a second measured on this machine for the device's dtype and threads, or None."""
    gflops = read_kept(FILE).get(machine_key(device))
    return gflops * 1e9 if isinstance(gflops, int | float) and gflops > 0 else None


def find_peak(device: Device, trained_s: float) -> float | None:
    """Return the peak known, else measured now if training took long enough to deserve it, else None."""
    if known_peak(device) is None and trained_s >= WORTH_MEASURING_S:
        measure_and_keep(device, MEASURE_S)
    return known_peak(device)


def measure_and_keep(device: Device, seconds: float) -> MachinePeak:
    """Measure the peak of this machine and keep it, unless others were busy meanwhile: what they left is no peak."""
    began, used = time.perf_counter(), time.process_time()
    peak = measure_peak(device, seconds)
    busy = (time.process_time() - used) / (time.perf_counter() - began)
    if device.type != "cpu" or busy >= QUIET_SHARE * _threads_measured(peak):
        keep_peak(device, peak)
    return peak


def keep_peak(device: Device, peak: MachinePeak) -> None:
    """Keep a measurement for every dtype in it, where it is faster than the one kept: what slows one is a neighbour.

    What counts as float32 are the products that stay float32 in earnest.
    """
    kept, found = read_kept(FILE), {}
    for dtype in (torch.float32, torch.bfloat16):
        exact = dtype == torch.float32
        speeds = [
            s.gflops
            for s in peak.on_all_threads()
            if (s.relative_error < FLOAT32_ERROR if exact else s.name == "bfloat16")
        ]
        key = machine_key(replace(device, dtype=dtype, threads=peak.threads))
        before = kept.get(key)
        best = max([*speeds, before] if isinstance(before, int | float) else speeds, default=None)
        if best is not None:
            found[key] = round(best, 1)
    keep(FILE, found)


def _threads_measured(peak: MachinePeak) -> float:
    """Return how many threads a measurement keeps busy on average; its ways, and the copy, take equal time."""
    return (sum(speed.threads for speed in peak.matmuls) + peak.threads) / (len(peak.matmuls) + 1)


def machine_key(device: Device) -> str:
    """Return the words under which what was measured on this machine, with this device, is kept."""
    name = (
        cpu_name() if device.type == "cpu" else torch.cuda.get_device_name() if device.type == "cuda" else device.type
    )
    dtype = str(device.dtype).removeprefix("torch.")
    return f"{platform.node()}, {name}, {device.threads} threads, {dtype}, torch {torch.__version__}"
