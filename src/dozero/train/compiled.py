"""Whether the blocks of a model are worth compiling: that fuses what stands between the products, and takes its time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from dozero.device import Device
from dozero.errors import ConfigError
from dozero.model.transformer import LayerCache, Rope, Transformer, causal_mask, rope_tables
from dozero.settings import RunConfig
from dozero.train.events import Compiling
from dozero.train.kept import keep, kept_file, read_kept
from dozero.train.peak import machine_key
from dozero.train.step import kernels_of

FILE = "compiled.json"
LEAST_RUN_S = 200.0
"""Shorter runs are not worth finding out, which takes some 15 s."""
WORTHWHILE = 2.0
"""What is saved has to be so many times what compiling costs."""
TRIES = 5

Forward = Callable[[Tensor, Rope, Tensor | None, LayerCache | None], Tensor]


class CompiledForward:
    """A block's forward pass, compiled for the steps of one shape; everything else goes the plain way."""

    def __init__(self, plain: Forward, rows: int, positions: int) -> None:
        self.plain, self.shape = plain, (rows, positions)
        self.compiled: Forward = torch.compile(plain, dynamic=False)

    def __call__(self, x: Float[Tensor, "B T C"], rope: Rope, mask: Tensor | None, cache: LayerCache | None) -> Tensor:
        """Return the residual stream after the block."""
        is_step = cache is None and torch.is_grad_enabled() and x.shape[:2] == self.shape
        return (self.compiled if is_step else self.plain)(x, rope, mask, cache)


def settle_compile(model: Transformer, config: RunConfig, device: Device, before: Mapping[str, str]) -> Compiling:
    """Compile the blocks of a model as its run did `before`, else as it is asked for, else where it saves time.

    What was measured is kept, so that a machine decides alike for ever: the choice changes bits. Blocks that are fused
    are not compiled. Raises ConfigError where it is asked for and cannot be done.
    """
    asked, was = config.train.compile, before.get("compile")
    is_left = was == "off" or config.train.checkpoint_activations or kernels_of(model) is not None
    if asked == "off" or (asked == "auto" and is_left):
        return Compiling()
    if asked == "auto" and was is None:
        return _decide(model, config, device)
    began = time.perf_counter()
    reason = _compile(model, config)
    if reason and asked == "on":
        raise ConfigError(
            "the blocks cannot be compiled here", where="train.compile", got=reason, next="train.compile=off"
        )
    return Compiling("off" if reason else "on", {}, time.perf_counter() - began, reason)


def compiling_of(model: Transformer) -> str:
    """Return whether the blocks of a model are compiled: "on" or "off"."""
    return "on" if isinstance(model.model.layers[0].forward, CompiledForward) else "off"


def _decide(model: Transformer, config: RunConfig, device: Device) -> Compiling:
    """Compile if that saves more than it costs, by what is known of this shape on this machine, or measured now."""
    key, began = _key(config, device), time.perf_counter()
    known: dict[str, Any] = read_kept(FILE).get(key, {})
    if "plain" not in known:
        known = {"plain": round(time_block(model, config), 3)}
        keep(FILE, {key: known})
    run_s = expected_seconds(config, known["plain"])
    if (
        run_s < LEAST_RUN_S or read_kept(FILE).get(key) != known
    ):  # where nothing can be kept it could come out otherwise
        return Compiling()
    told, reason = dict[str, float](), ""
    if "compiled" not in known:
        reason = _compile(model, config)
        cost_s = time.perf_counter() - began
        known |= {"compiled": None if reason else round(time_block(model, config), 3), "cost_s": round(cost_s, 1)}
        keep(FILE, {key: known})
        told = {} if reason else {name: known[name] for name in ("plain", "compiled")}
    if is_worthwhile(run_s, **known):
        reason = reason or _compile(model, config)
    else:
        _undo(model)
    return Compiling(compiling_of(model), told, time.perf_counter() - began, reason)


def expected_seconds(config: RunConfig, block_ms: float) -> float:
    """Return how long a run will take at the least: its blocks in all its steps, or what it is given."""
    portions = -(-config.rows_per_step // _rows(config))
    steps_s = config.train.steps * portions * config.model.n_layers * block_ms / 1e3
    return min(steps_s, config.train.max_seconds or steps_s)


def is_worthwhile(run_s: float, plain: float, compiled: float | None, cost_s: float) -> bool:
    """Return whether compiling saves a run enough; `compiled` is None where it could not be done.

    >>> is_worthwhile(600, plain=20.0, compiled=15.0, cost_s=15.0), is_worthwhile(600, 20.0, 19.5, 15.0)
    (True, False)
    """
    return compiled is not None and run_s * (1 - compiled / plain) >= WORTHWHILE * cost_s


def time_block(model: Transformer, config: RunConfig) -> float:
    """Return the milliseconds of a block forward and backward at the shape of a step: the least of some tries."""
    block, rows, T = model.model.layers[0], _rows(config), config.model.max_seq_len
    like = torch.zeros((), dtype=model.dtype, device=model.lm_head.weight.device)
    x = torch.ones(rows, T, config.model.d_model, dtype=like.dtype, device=like.device, requires_grad=True)
    segments = torch.zeros(rows, T, dtype=torch.int64, device=like.device)
    rope = rope_tables(0, T, config.model.head_dim, config.model.rope_theta, like)
    mask, inputs = causal_mask(T, T, segments, like), (x, *block.parameters())
    least = float("inf")
    for _ in range(TRIES):
        began = time.perf_counter()
        torch.autograd.grad(block(x, rope, mask, None).sum(), inputs)
        least = min(least, 1e3 * (time.perf_counter() - began))
    return least


def _compile(model: Transformer, config: RunConfig) -> str:
    """Let the blocks of a model run compiled, once one of them was seen to; return why not where they cannot."""
    if compiling_of(model) == "on":
        return ""
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(kept_file("compiled")))
    torch.compiler.reset()  # what other shapes left behind counts against a limit
    for block in model.model.layers:
        block.forward = CompiledForward(block.forward, _rows(config), config.model.max_seq_len)
    try:
        time_block(model, config)
    except Exception as error:  # noqa: BLE001 - compilers fail in their own ways, and the plain way is always there
        _undo(model)
        return next(iter(str(error).strip().splitlines()), type(error).__name__)
    return ""


def _undo(model: Transformer) -> None:
    for block in model.model.layers:
        if isinstance(block.forward, CompiledForward):
            block.forward = block.forward.plain


def _rows(config: RunConfig) -> int:
    return min(config.rows_at_once or config.rows_per_step, config.rows_per_step)


def _key(config: RunConfig, device: Device) -> str:
    model = config.model
    shape = f"{_rows(config)} rows of {model.max_seq_len}, {model.d_model} wide, MLP of {model.d_ff}"
    heads = f"{model.n_heads} heads of {model.head_dim}, {model.n_kv_heads} of keys and values"
    return f"{machine_key(device)}, {shape}, {heads}, attention {config.train.attention}"
