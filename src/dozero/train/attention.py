"""Which way of computing attention is faster on this machine at a shape, found by trying both, once."""

from __future__ import annotations

import time
from collections.abc import Mapping

import torch

from dozero.device import Device
from dozero.model.transformer import Attention, Transformer, attend, causal_mask
from dozero.settings import RunConfig
from dozero.train.kept import keep, read_kept
from dozero.train.peak import machine_key

FILE = "attention.json"
KERNELS = ("written", "library")
SURELY_WRITTEN, SURELY_LIBRARY = 64, 1024
"""Positions up to which writing it out won on every machine seen, and past which its memory grows too large."""
TRIES, TRIES_S = 7, 0.6


def choose_attention(config: RunConfig, device: Device) -> tuple[str, dict[str, float]]:
    """Return "written" or "library" for a run of one process, and the milliseconds of each if they were measured now.

    The choice changes bits, so it is kept: the same machine makes it alike for ever. Where it cannot be kept, it is
    "auto": by length alone.
    """
    positions = config.model.max_seq_len
    if config.train.attention != "auto":
        return config.train.attention, {}
    if device.type != "cpu" or positions > SURELY_LIBRARY:
        return "library", {}
    if positions <= SURELY_WRITTEN:
        return "written", {}
    key = _key(config, device)
    kept = read_kept(FILE).get(key)
    if kept in KERNELS:
        return kept, {}
    took_ms = measure_attention(config, device)
    best = min(took_ms, key=lambda kernel: took_ms[kernel])
    keep(FILE, {key: best})
    return (best if read_kept(FILE).get(key) == best else "auto"), took_ms  # next time it could come out otherwise


def measure_attention(config: RunConfig, device: Device) -> dict[str, float]:
    """Return the milliseconds of each way, forward and backward at the shape of a step, the least of some tries in turn."""
    shape = (_rows(config), config.model.n_heads, config.model.max_seq_len, config.model.head_dim)
    q, k, v = (torch.ones(shape, dtype=device.dtype, requires_grad=True) for _ in range(3))
    segments = torch.zeros(shape[0], shape[2], dtype=torch.int64)
    mask = causal_mask(shape[2], shape[2], segments, like=q)
    best: dict[str, float] = dict.fromkeys(KERNELS, float("inf"))
    began = time.perf_counter()
    for _ in range(TRIES):
        for kernel in KERNELS:
            started = time.perf_counter()
            torch.autograd.grad(attend(q, k, v, mask, kernel).sum(), (q, k, v))
            best[kernel] = min(best[kernel], 1e3 * (time.perf_counter() - started))
        if time.perf_counter() - began > TRIES_S:
            break
    return best


def settle_attention(
    model: Transformer, config: RunConfig, device: Device, before: Mapping[str, str], *, is_verified: bool = False
) -> tuple[str, dict[str, float]]:
    """Let a model compute attention as its run did `before` on this or another machine, else as is chosen now.

    Where teams of any size are to give the same bits (`is_verified`) it is as the settings say: "auto" goes by length.
    """
    kernel, took_ms = before.get("attention"), dict[str, float]()
    if is_verified:
        kernel = config.train.attention
    elif kernel not in (*KERNELS, "auto") or config.train.attention != "auto":
        kernel, took_ms = choose_attention(config, device)
    use_attention(model, kernel)
    return kernel, took_ms


def attention_of(model: Transformer) -> str:
    """Return how a model computes attention."""
    return next(part.kernel for part in model.modules() if isinstance(part, Attention))


def use_attention(model: Transformer, kernel: str) -> None:
    """Let every block of a model compute attention that way."""
    for part in model.modules():
        if isinstance(part, Attention):
            part.kernel = kernel


def _rows(config: RunConfig) -> int:
    return min(config.rows_at_once or config.rows_per_step, config.rows_per_step)


def _key(config: RunConfig, device: Device) -> str:
    model = config.model
    shape = f"{_rows(config)} rows of {model.max_seq_len}, {model.n_heads} heads of {model.head_dim}"
    return f"{machine_key(device)}, {shape}"
