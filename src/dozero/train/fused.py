"""A training step on a CPU with `fused.c` and `attend.c`: torch's products, and between them all in one go over memory each.

The arithmetic is that of model/transformer.py, which stays the reference; tests hold the gradients against its. It is used
where a C compiler is at hand and the shape suits (`why_not_fused`), and where it is faster (attention.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dozero.model.transformer import Block, LayerCache, Transformer, project, rope_tables
from dozero.settings import ModelConfig
from dozero.train.kernels import DTYPES, EDGE, MOST_HEAD_DIM, AttendTo, Kernels, open_kernels
from dozero.train.recompute import is_recomputed


class FusedBlock(torch.autograd.Function):
    """A block of the model on N = B*T positions. Its weights are those of `weights_of`, in that order."""

    @staticmethod
    def forward(
        ctx: Any, x: Float[Tensor, "N C"], kernels: Kernels, of: AttendTo, *weights: Tensor
    ) -> Float[Tensor, "N C"]:
        """Return the residual stream after the block."""
        kept, y = _run_block(kernels, of, x, weights)
        ctx.kernels, ctx.of, ctx.weights = kernels, of, weights
        ctx.save_for_backward(x, *kept)
        return y

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients for x and the weights. What was kept is overwritten: it goes back once."""
        return _run_back(ctx, grad_outputs[0].contiguous(), *ctx.saved_tensors)


class RecomputedBlock(torch.autograd.Function):
    """The same, of which only x is kept, and all else computed again on the way back (Chen et al. 2016)."""

    @staticmethod
    def forward(
        ctx: Any, x: Float[Tensor, "N C"], kernels: Kernels, of: AttendTo, *weights: Tensor
    ) -> Float[Tensor, "N C"]:
        """Return the residual stream after the block."""
        ctx.kernels, ctx.of, ctx.weights = kernels, of, weights
        ctx.save_for_backward(x)
        return _run_block(kernels, of, x, weights)[1]

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients for x and the weights."""
        (x,) = ctx.saved_tensors
        return _run_back(ctx, grad_outputs[0].contiguous(), x, *_run_block(ctx.kernels, ctx.of, x, ctx.weights)[0])


def weights_of(block: Block) -> list[Tensor]:
    """Return the weights of a block as `FusedBlock` takes them."""
    a, mlp = block.self_attn, block.mlp
    of_heads = [a.q_norm.weight, a.k_norm.weight] if a.eps is not None else []
    projections = [layer.weight for layer in (a.q_proj, a.k_proj, a.v_proj, a.o_proj)]
    of_mlp = [layer.weight for layer in (mlp.gate_proj, mlp.up_proj, mlp.down_proj)]
    return [block.input_layernorm.weight, *projections, block.post_attention_layernorm.weight, *of_mlp, *of_heads]


def _run_block(
    kernels: Kernels, of: AttendTo, x: Float[Tensor, "N C"], weights: Sequence[Tensor]
) -> tuple[list[Tensor], Tensor]:
    """Return what the way back wants, and the residual stream after the block."""
    norm, q, k, v, o, norm_mid, gate, up, down, *_ = weights
    w_qkv, w_o, w_gate_up, w_down = (_joined(w, x.dtype) for w in ((q, k, v), (o,), (gate, up), (down,)))
    a, r = kernels.normalize(x, norm, of.config.norm_eps)
    qkv = a @ w_qkv.t()
    y, logs = kernels.attend(qkv, of)
    x_mid = torch.addmm(x, y, w_o.t())
    b, r_mid = kernels.normalize(x_mid, norm_mid, of.config.norm_eps)
    gate_up = b @ w_gate_up.t()
    out = torch.addmm(x_mid, kernels.gate(gate_up), w_down.t())
    return [a, r, qkv, y, logs, x_mid, b, r_mid, gate_up, w_qkv, w_o, w_gate_up, w_down], out


def _run_back(ctx: Any, d_out: Float[Tensor, "N C"], x: Tensor, *kept: Tensor) -> tuple[Tensor | None, ...]:
    """Return the gradients for x and the weights, between them those of what is no tensor."""
    kernels, c = ctx.kernels, ctx.of.config
    norm, q, k, v, _, norm_mid, *_ = ctx.weights
    a, r, qkv, y, logs, x_mid, b, r_mid, gate_up, w_qkv, w_o, w_gate_up, w_down = kept
    units = d_out @ w_down
    kernels.gate_back(gate_up, units)  # now they are the units, and gate_up its gradient
    d_down, d_gate_up = d_out.t() @ units, gate_up.t() @ b
    d_mid, d_norm_mid = kernels.normalize_back(gate_up @ w_gate_up, x_mid, r_mid, norm_mid, d_out)
    d_o = d_mid.t() @ y
    d_qkv, d_scales = kernels.attend_back(qkv, ctx.of, y, logs, d_mid @ w_o)
    d_heads = d_qkv.t() @ a
    dx, d_norm = kernels.normalize_back(d_qkv @ w_qkv, x, r, norm, d_mid)
    of_attention = [d.to(q.dtype) for d in (*d_heads.split([len(q), len(k), len(v)]), d_o)]
    of_mlp = [d.to(q.dtype) for d in (*d_gate_up.split(c.d_ff), d_down)]
    return dx, None, None, d_norm, *of_attention, d_norm_mid, *of_mlp, *(d_scales if c.qk_norm else ())


def _joined(weights: Sequence[Tensor], dtype: torch.dtype) -> Float[Tensor, "O I"]:
    """Return matrices one below the other, in the dtype of the products."""
    if len(weights) == 1:
        return weights[0].to(dtype)
    sizes = [len(w) for w in weights]
    whole = torch.empty(sum(sizes), weights[0].shape[1], dtype=dtype)
    for part, w in zip(whole.split(sizes), weights, strict=True):
        part.copy_(w)
    return whole


class FusedNorm(torch.autograd.Function):
    """y = x / rms(x) * weight."""

    @staticmethod
    def forward(ctx: Any, x: Float[Tensor, "N C"], kernels: Kernels, weight: Tensor, eps: float) -> Tensor:
        """Return the normalised rows."""
        y, r = kernels.normalize(x, weight, eps)
        ctx.kernels = kernels
        ctx.save_for_backward(x, weight, r)
        return y

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients for x and the weight."""
        x, weight, r = ctx.saved_tensors
        dx, dw = ctx.kernels.normalize_back(grad_outputs[0].contiguous(), x, r, weight, torch.zeros_like(x))
        return dx, None, dw, None


class FusedForward:
    """The forward pass of a model by fused.c; with a cache, or without documents told, it goes the plain way."""

    def __init__(self, model: Transformer, kernels: Kernels) -> None:
        self.model, self.kernels, self.plain = model, kernels, model.forward
        self.block = RecomputedBlock if is_recomputed(model) else FusedBlock
        self.tables: dict[int, tuple[Tensor, Tensor]] = {}

    def __call__(
        self, ids: Int[Tensor, "B T"], segments: Tensor | None = None, cache: list[LayerCache] | None = None
    ) -> Float[Tensor, "B T V"]:
        """Return for each position the logits of the token after it."""
        if cache is not None or segments is None:
            return self.plain(ids, segments, cache)
        model, c = self.model, self.model.config
        x = model.model.embed_tokens(ids).to(model.dtype).flatten(0, 1)  # N C
        for block in model.model.layers:
            assert isinstance(block, Block)
            weights = weights_of(block)
            scales = [scale.detach() for scale in weights[-2:]] if c.qk_norm else (None, None)
            of = AttendTo(c, segments.contiguous(), *self._turns(ids.shape[1]), *scales)
            x = self.block.apply(x, self.kernels, of, *weights)
        x = FusedNorm.apply(x, self.kernels, model.model.norm.weight, c.norm_eps)
        return project(x, model.lm_head).view(*ids.shape, model.vocab_size)

    def _turns(self, length: int) -> tuple[Tensor, Tensor]:
        """Return cosine and sine of the angle of each pair of coordinates at each position."""
        if length not in self.tables:
            c = self.model.config
            cos, sin, _ = rope_tables(0, length, c.head_dim, c.rope_theta, like=torch.empty(0))
            half = c.head_dim // 2
            self.tables[length] = cos[:, 0, :half].contiguous(), sin[:, 0, :half].contiguous()
        return self.tables[length]


def why_not_fused(config: ModelConfig, device: str, dtype: torch.dtype) -> str:
    """Return why a model cannot be computed by fused.c here; "" if it can."""
    if device != "cpu" or dtype not in DTYPES:
        return f"only float32 and bfloat16 on a CPU, not {str(dtype).removeprefix('torch.')} on {device}"
    if config.attention_bias:
        return "a model with model.attention_bias"
    if config.head_dim % EDGE or config.head_dim > MOST_HEAD_DIM:
        return f"only model.head_dim in steps of {EDGE} up to {MOST_HEAD_DIM}, not {config.head_dim}"
    return "" if open_kernels() else "no C compiler on this machine"


def fuse(model: Transformer) -> None:
    """Let a model compute its forward and backward pass by fused.c."""
    kernels, device = open_kernels(), model.lm_head.weight.device.type
    reason = why_not_fused(model.config, device, model.dtype)
    assert kernels is not None, reason
    assert not reason, reason
    if not isinstance(model.forward, FusedForward):
        model.forward = FusedForward(model, kernels)


def unfuse(model: Transformer) -> None:
    """Let a model compute the plain way again."""
    if isinstance(model.forward, FusedForward):
        model.forward = model.forward.plain
