"""The arithmetic of the language model, all of it: token ids in, logits out.

A decoder-only transformer of the Qwen3/Llama family, under Hugging Face's own parameter names and layout.

Shapes: B batch, T positions, S positions seen so far, C d_model, H query heads, K key/value heads, D head_dim,
F d_ff, V vocabulary.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from dozero.settings import ModelConfig

Rope = tuple[Float[Tensor, "T 1 D"], Float[Tensor, "T 1 D"], Float[Tensor, "D D"]]


def project(x: Float[Tensor, "... I"], layer: nn.Linear, *more: nn.Linear) -> Float[Tensor, "... O"]:
    """Return the outputs of several linear layers side by side, in one product and in the dtype of x.

    The weights stay in full precision; copies of them multiply. One large product is faster than three small ones.
    """
    weight = torch.cat([layer.weight, *(m.weight for m in more)]) if more else layer.weight
    bias = None if layer.bias is None else torch.cat([layer.bias, *(m.bias for m in more)]).to(x.dtype)
    return F.linear(x, weight.to(x.dtype), bias)


class Normalize(torch.autograd.Function):
    """y = x * r * w with r = 1/rms(x), and its gradient written out, in half the operations torch composes it of.

    dx = r * (w*dy - x * r² * mean(w*dy*x)) and dw = sum(dy * x * r). w may scale each head of x by its own row.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        """Return x / rms(x) * weight along the last dimension; the mean of squares is taken in fp32 or better."""
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.promote_types(x.dtype, torch.float32))
        r = torch.rsqrt(norm.square() / x.shape[-1] + eps)
        ctx.save_for_backward(x, weight, r)
        return (x * r.to(x.dtype)).mul_(weight.to(x.dtype))

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, None]:
        """Return the gradients for x and weight."""
        (dy,), (x, weight, r) = grad_outputs, ctx.saved_tensors
        r_low, w_low = r.to(x.dtype), weight.to(x.dtype)
        dw = (dy * x).mul_(r_low).flatten(0, -1 - weight.ndim).sum(0, dtype=r.dtype)
        w_dy = dy * w_low
        mean = (w_dy * x).sum(-1, keepdim=True, dtype=r.dtype) / x.shape[-1]
        dx = w_dy.mul_(r_low).addcmul_(x, (mean * r**3).to(x.dtype), value=-1)
        return dx, dw, None


class RMSNorm(nn.Module):
    """Divides each vector by its root mean square, then scales each coordinate (Zhang & Sennrich 2019)."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(size)), eps

    def forward(self, x: Float[Tensor, "... N"]) -> Float[Tensor, "... N"]:
        """Return the normalised vectors."""
        return Normalize.apply(x, self.weight, self.eps)


def rope_tables(start: int, length: int, head_dim: int, theta: float, like: Tensor) -> Rope:
    """Return cosine and sine of each position's angles, and the matrix that swaps coordinates i and i + D/2.

    Pair i turns by theta**(-2i/D) radians per position (RoPE, Su et al. 2021). The angles are computed in fp32;
    only the result is rounded to the dtype of `like`.
    """
    pairs = torch.arange(0, head_dim, 2, dtype=torch.float32, device=like.device)
    positions = torch.arange(start, start + length, dtype=torch.float32, device=like.device)
    angles = torch.outer(positions, theta ** (-pairs / head_dim))[:, None].repeat(1, 1, 2)
    one = torch.eye(head_dim // 2, dtype=like.dtype, device=like.device)
    swap = torch.cat((torch.cat((0 * one, one), dim=1), torch.cat((-one, 0 * one), dim=1)))
    return angles.cos().to(like.dtype), angles.sin().to(like.dtype), swap


def rotate(x: Float[Tensor, "B T H D"], rope: Rope) -> Float[Tensor, "B T H D"]:
    """Return x with each pair (a, b) of coordinates i and i + D/2 turned: (a cos - b sin, b cos + a sin).

    The swap is a product with a matrix of 0, 1 and -1: exact, and faster on a CPU than moving halves of short vectors.
    """
    cos, sin, swap = rope
    return torch.addcmul(x * cos, x @ swap, sin)


def causal_mask(T: int, S: int, segments: Int[Tensor, "B T"] | None, like: Tensor) -> Float[Tensor, "..."] | None:
    """Return what is added to the scores, T S or B 1 T S: 0 where a position may look, -inf where not; None for no limit.

    The T queries are the last T of the S positions. With `segments`, a position sees only its own document.
    """
    if T == 1 and segments is None:
        return None
    hidden: Bool[Tensor, "..."] = torch.ones(T, S, dtype=torch.bool, device=like.device).triu(S - T + 1)
    if segments is not None:
        assert T == S, "packed documents and a cache do not go together"
        hidden = (hidden | (segments[:, :, None] != segments[:, None, :]))[:, None]
    return torch.zeros(hidden.shape, dtype=like.dtype, device=like.device).masked_fill(hidden, -math.inf)


@dataclass
class LayerCache:
    """Keys and values of the positions seen so far in one layer; room for all of them is made once."""

    k: Float[Tensor, "B K Smax D"]
    v: Float[Tensor, "B K Smax D"]
    length: int = 0

    def extend(self, k: Float[Tensor, "B K T D"], v: Float[Tensor, "B K T D"]) -> tuple[Tensor, Tensor]:
        """Store T new positions and return keys and values of all S positions so far."""
        end = self.length + k.shape[2]
        assert end <= self.k.shape[2], f"cache holds {self.k.shape[2]} positions, {end} are needed"
        self.k[:, :, self.length : end], self.v[:, :, self.length : end] = k, v
        self.length = end
        return self.k[:, :, :end], self.v[:, :, :end]


class Attention(nn.Module):
    """Each position asks (q) all positions before it (k) and takes a weighted mean of what they hold (v)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        C, D, bias = config.d_model, config.head_dim, config.attention_bias
        self.H, self.K, self.D = config.n_heads, config.n_kv_heads, D
        self.kernel = "auto"
        self.q_proj = nn.Linear(C, self.H * D, bias=bias)
        self.k_proj = nn.Linear(C, self.K * D, bias=bias)
        self.v_proj = nn.Linear(C, self.K * D, bias=bias)
        self.o_proj = nn.Linear(self.H * D, C, bias=False)
        self.eps = config.norm_eps if config.qk_norm else None
        if config.qk_norm:
            self.q_norm, self.k_norm = RMSNorm(D, config.norm_eps), RMSNorm(D, config.norm_eps)

    def forward(
        self, x: Float[Tensor, "B T C"], rope: Rope, mask: Float[Tensor, "..."] | None, cache: LayerCache | None
    ) -> Float[Tensor, "B T C"]:
        """Return what each position gathered, projected back to d_model."""
        B, T, _ = x.shape
        heads = project(x, self.q_proj, self.k_proj, self.v_proj).view(B, T, self.H + 2 * self.K, self.D)
        qk, v = heads.split((self.H + self.K, self.K), dim=2)
        if self.eps is not None:
            scales = torch.cat((self.q_norm.weight.expand(self.H, -1), self.k_norm.weight.expand(self.K, -1)))
            qk = Normalize.apply(qk, scales, self.eps)
        q, k = rotate(qk, rope).transpose(1, 2).split((self.H, self.K), dim=1)  # B H T D, B K T D
        v = v.transpose(1, 2)  # B K T D
        if cache is not None:
            k, v = cache.extend(k, v)  # B K S D
        if self.K < self.H:  # query heads share keys and values in groups (GQA, Ainslie et al. 2023)
            k, v = (t.repeat_interleave(self.H // self.K, dim=1) for t in (k, v))  # B H S D
        y = attend(q, k, v, mask, self.kernel)
        return project(y.transpose(1, 2).reshape(B, T, self.H * self.D), self.o_proj)


def attend(q: Float[Tensor, "B H T D"], k: Tensor, v: Tensor, mask: Tensor | None, kernel: str = "auto") -> Tensor:
    """Return softmax(q kᵀ/√D + mask) v, "written" out or by the "library"; "auto" writes out up to 256 positions.

    On a CPU the library's kernel can be several times slower there; past that its blockwise form saves memory.
    """
    if kernel == "library" or (kernel == "auto" and (k.shape[2] > 256 or q.device.type != "cpu")):
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)  # B H T S
    if mask is not None:
        scores = scores + mask
    return scores.softmax(dim=-1) @ v  # the kernel computes in fp32 and rounds once, whatever the dtype


class MLP(nn.Module):
    """Two projections up, one gating the other, and one down (SwiGLU, Shazeer 2020)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.d_model, config.d_ff, bias=False)
        self.up_proj = nn.Linear(config.d_model, config.d_ff, bias=False)
        self.down_proj = nn.Linear(config.d_ff, config.d_model, bias=False)

    def forward(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
        """Return down(silu(gate(x)) * up(x)); each position on its own."""
        return project(F.silu(project(x, self.gate_proj)) * project(x, self.up_proj), self.down_proj)


class Block(nn.Module):
    """Attention then MLP, each normalised before and added to the residual stream after."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.d_model, config.norm_eps)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = RMSNorm(config.d_model, config.norm_eps)
        self.mlp = MLP(config)

    def forward(
        self, x: Float[Tensor, "B T C"], rope: Rope, mask: Float[Tensor, "..."] | None, cache: LayerCache | None
    ) -> Float[Tensor, "B T C"]:
        """Return the residual stream after this block."""
        x = x + self.self_attn(self.input_layernorm(x), rope, mask, cache)
        return x + self.mlp(self.post_attention_layernorm(x))


class Decoder(nn.Module):
    """Embedding, blocks and final norm; the part that Hugging Face calls `model`."""

    def __init__(self, config: ModelConfig, vocab_size: int) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(vocab_size, config.d_model)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.n_layers))
        self.norm = RMSNorm(config.d_model, config.norm_eps)


class Transformer(nn.Module):
    """The language model. `dtype` is what it multiplies in; its parameters are kept as they were loaded."""

    def __init__(self, config: ModelConfig, vocab_size: int, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.config, self.vocab_size, self.dtype = config, vocab_size, dtype
        self.model = Decoder(config, vocab_size)
        self.lm_head = nn.Linear(config.d_model, vocab_size, bias=False)
        if config.tie_embeddings:
            self.lm_head.weight = self.model.embed_tokens.weight

    def forward(
        self, ids: Int[Tensor, "B T"], segments: Tensor | None = None, cache: list[LayerCache] | None = None
    ) -> Float[Tensor, "B T V"]:
        """Return for each position the logits of the token after it, in `dtype`.

        `segments` numbers the documents packed into a row. With a `cache`, ids follow the positions already in it.
        """
        T = ids.shape[1]
        seen = cache[0].length if cache else 0
        x = self.model.embed_tokens(ids).to(self.dtype)  # B T C
        rope = rope_tables(seen, T, self.config.head_dim, self.config.rope_theta, like=x)
        mask = causal_mask(T, seen + T, segments, like=x)
        for i, block in enumerate(self.model.layers):
            x = block(x, rope, mask, cache[i] if cache else None)
        return project(self.model.norm(x), self.lm_head)

    def new_cache(self, batch: int, positions: int) -> list[LayerCache]:
        """Return an empty cache with room for `positions` tokens in each of `batch` rows."""
        shape = (batch, self.config.n_kv_heads, positions, self.config.head_dim)
        device = self.lm_head.weight.device
        zeros = [torch.zeros(shape, dtype=self.dtype, device=device) for _ in range(2 * self.config.n_layers)]
        return [LayerCache(k, v) for k, v in zip(zeros[::2], zeros[1::2], strict=True)]
