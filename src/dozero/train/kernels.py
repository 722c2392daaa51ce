"""The C files of training as functions on tensors: what stands between torch's products, each in one go over memory.

The arithmetic is that of model/transformer.py, train/loss.py and train/optim.py, which stay the reference.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dozero.compiler import open_library
from dozero.settings import ModelConfig

SOURCES = ("train/fused.c", "train/attend.c", "train/orthogonal.c")
EDGE, PART, WIDE, MOST_HEAD_DIM = 32, 64, 16, 256
"""As the C files have them: the edge of a square of scores, rows whose sums they add up, numbers they take at once."""
DTYPES = (torch.float32, torch.bfloat16)


class Attend(ctypes.Structure):
    """What attend.c is told, field by field as it stands there."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("B", "T", "H", "K", "D", "low", "threads", "room")),
        *((name, ctypes.c_float) for name in ("eps", "unused")),
        *((name, ctypes.c_void_p) for name in ("qkv", "q_scale", "k_scale", "cos", "sin", "segments")),
        *((name, ctypes.c_void_p) for name in ("y", "logs", "dy", "dqkv", "dscales", "own")),
    )


class Orthogonalize(ctypes.Structure):
    """What orthogonal.c is told, field by field as it stands there."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("N", "rows", "columns", "threads")),
        *((name, ctypes.c_float) for name in ("a", "b", "c")),
        ("rounds", ctypes.c_int32),
        *((name, ctypes.c_void_p) for name in ("source", "to", "own")),
    )


@dataclass(frozen=True)
class Kernels:
    """The functions of the C files on tensors. All are contiguous; x and its like are float32 or bfloat16, sums float32."""

    library: ctypes.CDLL
    attention: ctypes.CDLL
    orthogonal: ctypes.CDLL
    multiplies_pairs: bool
    """Whether this CPU multiplies bfloat16 in twos, which `orthogonalize` wants."""

    @property
    def code(self) -> str:
        """What tells these from kernels of another version, compiler or CPU."""
        return Path(self.attention._name).stem

    def normalize(self, x: Float[Tensor, "N C"], weight: Float[Tensor, "C"], eps: float) -> tuple[Tensor, Tensor]:
        """Return x / rms(x) * weight, and 1 / rms(x) of each row."""
        N, C = x.shape
        y, r = torch.empty_like(x), torch.empty(N)
        self.library.norm(*_at(x, weight, y, r), N, C, eps, *_how(x))
        return y, r

    def normalize_back(
        self,
        dy: Float[Tensor, "N C"],
        x: Float[Tensor, "N C"],
        r: Float[Tensor, "N"],
        weight: Float[Tensor, "C"],
        beside: Float[Tensor, "N C"],
    ) -> tuple[Tensor, Tensor]:
        """Return `beside` plus the gradient for x, and the gradient for the weight."""
        N, C = x.shape
        dx, parts = torch.empty_like(x), torch.empty(-(-N // PART), C)
        self.library.norm_back(*_at(dy, x, r, weight, beside, dx, parts), N, C, *_how(x))
        return dx, parts.sum(0)

    def gate(self, gate_up: Float[Tensor, "N F2"]) -> Float[Tensor, "N F"]:
        """Return silu(gate) * up of rows that hold F of the one, then F of the other."""
        N, F = gate_up.shape[0], gate_up.shape[1] // 2
        y = gate_up.new_empty(N, F)
        self.library.gate(*_at(gate_up, y), N, F, *_how(y))
        return y

    def gate_back(self, gate_up: Float[Tensor, "N F2"], dy: Float[Tensor, "N F"]) -> None:
        """Put the gradient for gate_up in its place, and silu(gate) * up in that of dy."""
        self.library.gate_back(*_at(gate_up, dy), *dy.shape, *_how(dy))

    def surprise(
        self, logits: Float[Tensor, "N V"], targets: Int[Tensor, "N"], scale: float, ignore: int
    ) -> Float[Tensor, ""]:
        """Return `scale` times the sum of -log softmax(logits)[target], and put its gradient in the place of the logits."""
        N, V = logits.shape
        nats, own = torch.empty(N), torch.empty(torch.get_num_threads(), _filled_up(V, WIDE))
        self.library.surprise(*_at(logits, targets, nats, own), N, V, scale, ignore, *_how(logits))
        return nats.sum() * scale

    def attend(self, qkv: Float[Tensor, "N O"], of: AttendTo) -> tuple[Tensor, Tensor]:
        """Return what each position gathered (N H*D), and of each query the logarithm of the sum of its powers (B H T)."""
        c, (B, T) = of.config, of.segments.shape
        y, logs = qkv.new_empty(B * T, c.n_heads * c.head_dim), torch.empty(B, c.n_heads, T)
        self._attend(self.attention.attend, of, qkv=qkv, y=y, logs=logs)
        return y, logs

    def attend_back(self, qkv: Tensor, of: AttendTo, y: Tensor, logs: Tensor, dy: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradient for qkv, and those of the scales of queries and keys (2 D)."""
        c = of.config
        dqkv, dscales = torch.empty_like(qkv), torch.empty(len(of.segments) * c.n_kv_heads, 2, c.head_dim)
        self._attend(self.attention.attend_back, of, qkv=qkv, y=y, logs=logs, dy=dy, dqkv=dqkv, dscales=dscales)
        return dqkv, dscales.sum(0)

    def _attend(self, function: Any, of: AttendTo, **tensors: Tensor) -> None:
        c, (B, T), threads = of.config, of.segments.shape, torch.get_num_threads()
        low = int(tensors["qkv"].dtype == torch.bfloat16)
        told = Attend(B, T, c.n_heads, c.n_kv_heads, c.head_dim, low, threads, 0, c.norm_eps)
        tensors |= {"cos": of.cos, "sin": of.sin, "segments": of.segments}
        if of.q_scale is not None and of.k_scale is not None:
            tensors |= {"q_scale": of.q_scale, "k_scale": of.k_scale}
        told.room = self.attention.attend_room(ctypes.byref(told))
        tensors["own"] = torch.empty(threads * told.room, dtype=torch.uint8)
        for name, tensor in tensors.items():
            (address,) = _at(tensor)
            setattr(told, name, address)
        function(ctypes.byref(told))

    def adam(self, p: Tensor, g: Tensor, mean: Tensor, square: Tensor, rates: Sequence[float]) -> None:
        """Move weights by AdamW; `rates` are beta1, beta2, the rate, what mends the square, what is kept, and eps."""
        self.library.adam(*_at(p, g, mean, square), p.numel(), *rates, torch.get_num_threads())

    def blend(self, g: Tensor, momentum: Tensor, to: Tensor, keep: float) -> None:
        """Move the momentum on, and put Nesterov's mix of it and the gradient into `to`, of either dtype."""
        self.library.blend(*_at(g, momentum, to), g.numel(), keep, *_how(to))

    def orthogonalize(
        self, g: Float[Tensor, "N rows cols"], polynomial: tuple[float, float, float], rounds: int
    ) -> Float[Tensor, "N rows cols"]:
        """Return what so many Newton-Schulz rounds make of bfloat16 matrices; only where it `multiplies_pairs`."""
        assert self.multiplies_pairs
        assert g.dtype == torch.bfloat16
        told = Orthogonalize(*g.shape, torch.get_num_threads(), *polynomial, rounds)
        room = self.orthogonal.orthogonal_room(ctypes.byref(told))
        y, own = torch.empty_like(g), torch.empty(room, dtype=torch.uint8)
        told.source, told.to, told.own = _at(g, y, own)
        self.orthogonal.orthogonalize(ctypes.byref(told))
        return y

    def move(self, p: Tensor, direction: Tensor, keep: float, rate: float) -> None:
        """Shrink weights, then step against a direction of either dtype."""
        self.library.move(*_at(p, direction), p.numel(), keep, rate, *_how(direction))


@dataclass(frozen=True)
class AttendTo:
    """What attention looks at beside queries, keys and values."""

    config: ModelConfig
    segments: Int[Tensor, "B T"]
    """Which document of its row a position belongs to; the positions of one stand together."""
    cos: Float[Tensor, "T half"]
    sin: Float[Tensor, "T half"]
    q_scale: Float[Tensor, "D"] | None
    k_scale: Float[Tensor, "D"] | None


def open_kernels() -> Kernels | None:
    """Return the functions of the C files; None where there is no C compiler."""
    library, attention, orthogonal = (open_library(source) for source in SOURCES)
    if library is None or attention is None or orthogonal is None:
        return None
    p, n, i, f = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int, ctypes.c_float
    how = (i, i)
    library.norm.argtypes, library.norm_back.argtypes = (p, p, p, p, n, n, f, *how), (*7 * (p,), n, n, *how)
    library.gate.argtypes = library.gate_back.argtypes = (p, p, n, n, *how)
    library.surprise.argtypes = (p, p, p, p, n, n, f, n, *how)
    library.adam.argtypes = (p, p, p, p, n, *6 * (f,), i)
    library.blend.argtypes, library.move.argtypes = (p, p, p, n, f, *how), (p, p, n, f, f, *how)
    attention.attend.argtypes = attention.attend_back.argtypes = attention.attend_room.argtypes = (p,)
    attention.attend_room.restype = n
    orthogonal.orthogonalize.argtypes = orthogonal.orthogonal_room.argtypes = (p,)
    orthogonal.orthogonal_room.restype = n
    return Kernels(library, attention, orthogonal, bool(orthogonal.multiplies_pairs()))


def _at(*tensors: Tensor) -> list[int]:
    """Return where the numbers of some tensors begin."""
    assert all(tensor.is_contiguous() and tensor.device.type == "cpu" for tensor in tensors)
    return [tensor.data_ptr() for tensor in tensors]


def _how(tensor: Tensor) -> tuple[int, int]:
    """Return how many threads are to compute, and whether the numbers are bfloat16."""
    return torch.get_num_threads(), int(tensor.dtype == torch.bfloat16)


def _filled_up(number: int, size: int) -> int:
    return -(-number // size) * size
