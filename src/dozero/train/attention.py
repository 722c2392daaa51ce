"""Which way of computing the blocks is faster on this machine at a shape, found by trying all, once.

Named for attention, in which they differ most: "written" out, by torch's "library" kernel, or "fused": the whole block by
our own C code (fused.py).
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import torch

from dozero.device import Device
from dozero.errors import ConfigError
from dozero.model.transformer import Attention, Transformer
from dozero.settings import RunConfig
from dozero.train.fused import fuse, unfuse, why_not_fused
from dozero.train.kept import keep, read_kept
from dozero.train.kernels import open_kernels
from dozero.train.loss import next_token_loss
from dozero.train.peak import machine_key
from dozero.train.step import kernels_of

FILE = "attention.json"
KERNELS = ("written", "library", "fused")
SURELY_WRITTEN, SURELY_LIBRARY = 64, 1024
"""Positions up to which writing it out won over the library on every machine seen, and past which its memory grows too large."""
SURELY_FUSED = 256
"""Positions past which writing it out is not tried where it can be fused, for its memory."""
TRIES, TRIES_S = 7, 0.6
TRIED_VOCAB = 64


def choose_attention(config: RunConfig, device: Device) -> tuple[str, dict[str, float]]:
    """Return the way of KERNELS for a run of one process, and the milliseconds of each if they were measured now.

    The choice changes bits, so it is kept: the same machine makes it alike for ever. Where it cannot be kept, it is
    "auto": written out or by the library, by length alone. Raises ConfigError where "fused" is asked for and impossible.
    """
    if config.train.attention != "auto":
        return asked_for(config, device), {}
    candidates = list_candidates(config, device)
    if len(candidates) == 1:
        return candidates[0], {}
    key = _key(config, device, candidates)
    kept = read_kept(FILE).get(key)
    if kept in candidates:
        return kept, {}
    took_ms = measure_attention(config, device, candidates)
    best = min(took_ms, key=lambda kernel: took_ms[kernel])
    keep(FILE, {key: best})
    return (best if read_kept(FILE).get(key) == best else "auto"), took_ms  # next time it could come out otherwise


def asked_for(config: RunConfig, device: Device) -> str:
    """Return what the settings ask for; raises ConfigError where that cannot be done."""
    asked = config.train.attention
    if asked == "fused" and (reason := _why_not_fused(config, device)):
        raise ConfigError("blocks cannot be fused", where="train.attention", got=reason, next="train.attention=auto")
    return asked


def _why_not_fused(config: RunConfig, device: Device) -> str:
    if config.train.compile == "on":
        return "they are to be compiled: train.compile=on"
    if device.world_size > 1 and config.train.shard:
        return "their weights are in shards: train.shard"
    return why_not_fused(config.model, device.type, device.dtype)


def list_candidates(config: RunConfig, device: Device) -> list[str]:
    """Return the ways that may be the fastest."""
    if device.type != "cpu":
        return ["library"]
    positions = config.model.max_seq_len
    is_fused = not _why_not_fused(config, device)
    longest = SURELY_FUSED if is_fused else SURELY_LIBRARY
    can = {"written": positions <= longest, "library": positions > SURELY_WRITTEN, "fused": is_fused}
    return [kernel for kernel in KERNELS if can[kernel]]


def measure_attention(config: RunConfig, device: Device, candidates: list[str]) -> dict[str, float]:
    """Return the milliseconds of each way, a block forward and backward at the shape of a step: the least of some tries in turn."""
    model = Transformer(config.model.model_copy(update={"n_layers": 1}), TRIED_VOCAB, device.dtype)
    ids = torch.zeros(_rows(config), config.model.max_seq_len, dtype=torch.int64)
    best: dict[str, float] = dict.fromkeys(candidates, float("inf"))
    began = time.perf_counter()
    for _ in range(TRIES):
        for kernel in candidates:
            use_attention(model, kernel)
            started = time.perf_counter()
            next_token_loss(model(ids, ids), ids, ids.numel(), kernels_of(model)).backward()
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
        kernel = asked_for(config, device)
    elif not _is_possible(kernel, config, device) or config.train.attention != "auto":
        kernel, took_ms = choose_attention(config, device)
    assert kernel is not None
    use_attention(model, kernel)
    return kernel, took_ms


def _is_possible(kernel: str | None, config: RunConfig, device: Device) -> bool:
    return not _why_not_fused(config, device) if kernel == "fused" else kernel in (*KERNELS, "auto")


def attention_of(model: Transformer) -> str:
    """Return how a model computes attention."""
    if kernels_of(model) is not None:
        return "fused"
    return next(part.kernel for part in model.modules() if isinstance(part, Attention))


def use_attention(model: Transformer, kernel: str) -> None:
    """Let every block of a model compute attention that way."""
    if kernel == "fused":
        fuse(model)
        return
    unfuse(model)
    for part in model.modules():
        if isinstance(part, Attention):
            part.kernel = kernel


def _rows(config: RunConfig) -> int:
    return min(config.rows_at_once or config.rows_per_step, config.rows_per_step)


def _key(config: RunConfig, device: Device, candidates: list[str]) -> str:
    model = config.model
    rows = f"{_rows(config)} rows of {model.max_seq_len}, {model.d_model} wide, MLP of {model.d_ff}"
    heads = f"{model.n_heads} heads of {model.head_dim}, {model.n_kv_heads} of keys and values"
    kernels = open_kernels() if "fused" in candidates else None
    code = f", {kernels.code}" if kernels else ""  # by other code it may be slower or faster
    return f"{machine_key(device)}, {rows}, {heads}: {' or '.join(candidates)}{code}"
