"""The model in the form that writes fastest on a CPU: `decoder.c`, compiled here, over weights laid out once.

Where there is no C compiler (`compiler.py`) the model itself writes: the same tokens, slower. `Decoder` is plain data:
joined matrices, and pointers to them as the C code reads them.
"""

from __future__ import annotations

import ctypes
import math
import mmap
import struct
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dozero.compiler import open_library
from dozero.model.transformer import Block, Transformer, rope_tables
from dozero.settings import ModelConfig

SOURCE = "generate/decoder.c"
PRECISIONS = ("float32", "int8")
FORMS = (torch.float32, torch.int8, torch.bfloat16)
"""What weights are kept as, in the order of decoder.c."""
TOKENS_AT_ONCE = 256
BLOCK = 64
"""int8 inputs that share a scale, as decoder.c has them."""
LARGE_BYTES = 2**21
"""From so many bytes on, memory is asked for in pages of that size where the system has them (Linux)."""
SMALL_BYTES = 3_000_000
"""Below so many bytes of weights a second thread costs more waiting than it saves work."""


def int8_rows(weight: Float[Tensor, "O I"]) -> tuple[Int[Tensor, "O I"], Float[Tensor, "O"]]:
    """Return a matrix as int8 and the scale of each row: the largest of a row becomes 127.

    >>> int8_rows(torch.tensor([[1.0, -0.5]]))
    (tensor([[127, -64]], dtype=torch.int8), tensor([0.0079]))
    """
    scale = weight.abs().amax(dim=1).clamp(min=1e-30) / 127
    return (weight / scale[:, None]).round().to(torch.int8), scale


def in_tiles(weight: Tensor, wide: int) -> Tensor:
    """Return a matrix (O I) as decoder.c reads it: tiles of some outputs, in them one input after another (int8: four, bf16: two).

    >>> in_tiles(torch.arange(16.0)[:, None] + torch.tensor([0.0, 0.5]), 8).shape
    torch.Size([2, 2, 8, 1])
    """
    block, together = {torch.int8: (BLOCK, 4), torch.bfloat16: (2, 2)}.get(weight.dtype, (1, 1))
    outputs, inputs = weight.shape
    padded = torch.nn.functional.pad(weight, (0, -inputs % block, 0, -outputs % wide))
    tiles = padded.view(padded.shape[0] // wide, wide, -1, together).transpose(1, 2)
    return roomy_zeros(*tiles.shape, dtype=weight.dtype).copy_(tiles)


def are_halves(weights: Iterable[Float[Tensor, "O I"]]) -> bool:
    """Return whether matrices can be kept as bfloat16, in pairs of inputs, with none of their numbers changed.

    Models trained in bfloat16 are then read in half the time.

    >>> are_halves([torch.tensor([[0.5, 3.0]])]), are_halves([torch.tensor([[0.1, 3.0]])])
    (True, False)
    """
    return all(w.shape[1] % 2 == 0 and torch.equal(w.bfloat16().float(), w) for w in weights)


def roomy_zeros(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return zeros that are read past each page without a look into the page tables: 2 MiB of them a page if they are many.

    >>> roomy_zeros(2, 2**20)[1, -1]
    tensor(0.)
    """
    size = math.prod(shape) * dtype.itemsize
    if size < LARGE_BYTES or not hasattr(mmap, "MADV_HUGEPAGE"):
        return torch.zeros(shape, dtype=dtype)
    pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with suppress(OSError):  # a kernel built without large pages: the same memory, in small ones
        pages.madvise(mmap.MADV_HUGEPAGE)
    return torch.frombuffer(pages, dtype=dtype).view(shape)


def _in_whole_tiles(linear: torch.nn.Linear, wide: int) -> torch.nn.Linear:
    """Return the same product with outputs of zero after it, so that what is joined to it begins a tile."""
    more = -linear.out_features % wide
    filled = torch.nn.Linear(linear.in_features, linear.out_features + more, bias=False, device="meta")
    filled.weight = torch.nn.Parameter(torch.nn.functional.pad(linear.weight, (0, 0, 0, more)), requires_grad=False)
    return filled


def _filled_up(number: int, size: int) -> int:
    return -(-number // size) * size


@dataclass
class NativeCache:
    """Keys and values of texts that may differ in length; a row of ours lies in one slot of the data."""

    data: Float[Tensor, "L slots K head"]
    positions: int
    slots: list[int]
    lengths: list[int]


@dataclass(frozen=True)
class Decoder:
    """A model ready to write. The engine calls it as it calls any `Forward`."""

    config: ModelConfig
    vocab_size: int
    weight_bytes: int
    """Bytes of weights that one token reads."""
    library: ctypes.CDLL
    wide: int
    """Outputs of a tile: numbers that a register of this CPU holds."""
    single: ctypes.Array[ctypes.c_char]
    """The model as decoder.c's struct, for one thread."""
    threaded: ctypes.Array[ctypes.c_char]
    """The same for all threads."""
    keeps: list[object] = field(repr=False)
    """What the pointers point to."""
    is_ragged: bool = True

    @property
    def positions(self) -> int:
        """Longest context."""
        return self.config.max_seq_len

    def prefill(self, ids: Int[Tensor, "B T"], positions: int) -> tuple[NativeCache, Float[Tensor, "B V"]]:
        """Return a cache with room for so many positions that holds the ids, and the logits of what comes next."""
        rows = ids.shape[0]
        room = _filled_up(positions, self.wide)
        cache = NativeCache(self._room(rows, room), room, list(range(rows)), [0] * rows)
        return cache, self._run(ids, cache, only_last=True)

    def advance(self, ids: Int[Tensor, "B T"], cache: NativeCache) -> Float[Tensor, "B T V"]:
        """Add T tokens to each row of the cache and return the logits after each."""
        return self._run(ids, cache, only_last=False).view(*ids.shape, self.vocab_size)

    def spread(self, caches: Sequence[NativeCache], rows: Sequence[tuple[int, int]]) -> NativeCache:
        """Return a cache of the rows named by (cache, row in it): where none comes twice and all from one, without a copy."""
        lengths = [caches[c].lengths[row] for c, row in rows]
        first = caches[rows[0][0]]
        if {c for c, _ in rows} == {rows[0][0]} and len(set(rows)) == len(rows):
            return NativeCache(first.data, first.positions, [first.slots[row] for _, row in rows], lengths)
        data = self._room(len(rows), first.positions)
        for slot, (c, row) in enumerate(rows):
            data[:, slot] = caches[c].data[:, caches[c].slots[row]]
        return NativeCache(data, first.positions, list(range(len(rows))), lengths)

    def forget(self, cache: NativeCache, tokens: int) -> None:
        """Take the last so many tokens out of the cache again."""
        cache.lengths = [length - tokens for length in cache.lengths]

    def _room(self, rows: int, positions: int) -> Float[Tensor, "L slots K head"]:
        """Return room for keys and values of rows; zeros, as what is not yet written is read and multiplied by nothing.

        In pages of the usual size: of a long context only what a text fills takes memory.
        """
        c = self.config
        return torch.zeros(c.n_layers, rows, c.n_kv_heads, positions * (c.head_dim + _filled_up(c.head_dim, self.wide)))

    def _run(self, ids: Int[Tensor, "B T"], cache: NativeCache, *, only_last: bool) -> Float[Tensor, "N V"]:
        """Run the tokens in portions: those of a row in order, so that each finds those before it in the cache."""
        B, T = ids.shape
        tokens = ids.flatten().tolist()
        slots = [slot for slot in cache.slots for _ in range(T)]
        places = [length + t for length in cache.lengths for t in range(T)]
        assert len(cache.slots) == B, "a row of ids for each of the cache"
        assert max(places) < min(cache.positions, self.config.max_seq_len), f"cache holds {cache.positions} positions"
        assert 0 <= min(tokens) <= max(tokens) < self.vocab_size, "ids of tokens"
        wanted = [n for n in range(B * T) if not only_last or n % T == T - 1]
        logits = torch.empty(len(wanted), self.vocab_size)
        done = 0
        for start in range(0, B * T, TOKENS_AT_ONCE):
            end = min(start + TOKENS_AT_ONCE, B * T)
            here = [n - start for n in wanted[done : done + end - start] if n < end]
            self._call(tokens[start:end], slots[start:end], places[start:end], cache, here, logits[done:])
            done += len(here)
        cache.lengths = [length + T for length in cache.lengths]
        return logits

    def _call(
        self,
        tokens: list[int],
        slots: list[int],
        places: list[int],
        cache: NativeCache,
        wanted: list[int],
        logits: Tensor,
    ) -> None:
        N = len(tokens)
        model = self.single if self.weight_bytes * N < SMALL_BYTES else self.threaded
        memory = torch.empty(self.library.room(model, N))
        many = ctypes.c_int64 * N
        self.library.advance(
            model, N, many(*tokens), many(*slots), many(*places),
            cache.data.data_ptr(), cache.data.shape[1], cache.positions,
            len(wanted), (ctypes.c_int64 * max(1, len(wanted)))(*wanted), logits.data_ptr(), memory.data_ptr(),
        )  # fmt: skip


def make_decoder(model: Transformer, precision: str = "float32") -> Decoder | None:
    """Return the model laid out for writing on this CPU; None where no C compiler is to be had."""
    library = open_library(SOURCE)
    if library is None:
        return None
    p, n = ctypes.c_void_p, ctypes.c_int64
    library.wide.restype, library.room.argtypes, library.room.restype = n, [p, n], n
    library.advance.argtypes, library.advance.restype = [p, n, p, p, p, p, n, n, n, p, p, p], None
    wide: int = library.wide()
    keeps: list[object] = []
    config, layers = model.config, b""
    weights = (layer.weight.detach().float().cpu() for layer in model.modules() if isinstance(layer, torch.nn.Linear))
    dtype = torch.int8 if precision == "int8" else torch.bfloat16 if are_halves(weights) else torch.float32
    read_bytes = 0

    def vector(tensor: Tensor | None) -> int:
        if tensor is None:
            return 0
        flat = tensor.detach().float().cpu().flatten()
        keeps.append(kept := torch.nn.functional.pad(flat, (0, -len(flat) % wide)).clone())
        return kept.data_ptr()

    def matrix(*linears: torch.nn.Linear) -> bytes:
        nonlocal read_bytes
        weight = torch.cat([linear.weight.detach().float().cpu() for linear in linears])
        bias = torch.cat([linear.bias.detach() for linear in linears]) if linears[0].bias is not None else None
        values, scale = int8_rows(weight) if dtype == torch.int8 else (weight.to(dtype), None)
        keeps.append(tiles := in_tiles(values, wide))
        read_bytes += values.nbytes
        room = tiles.numel() // _filled_up(len(weight), wide)
        return struct.pack("@3P3q", tiles.data_ptr(), vector(scale), vector(bias), *weight.shape, room)

    for block in model.model.layers:
        assert isinstance(block, Block)
        a, mlp = block.self_attn, block.mlp
        scales = (vector(a.q_norm.weight), vector(a.k_norm.weight)) if config.qk_norm else (0, 0)
        norms = (vector(block.input_layernorm.weight), *scales, vector(block.post_attention_layernorm.weight))
        layers += struct.pack("@4P", *norms)
        layers += matrix(a.q_proj, a.k_proj, a.v_proj) + matrix(a.o_proj)
        layers += matrix(_in_whole_tiles(mlp.gate_proj, wide), mlp.up_proj) + matrix(mlp.down_proj)
    head = matrix(model.lm_head)
    keeps.append(table := ctypes.create_string_buffer(layers, len(layers)))
    embedding, norm = model.model.embed_tokens.weight, model.model.norm.weight
    cos, sin, _ = rope_tables(0, config.max_seq_len, config.head_dim, config.rope_theta, like=torch.empty(0))
    half = config.head_dim // 2
    pointers = vector(embedding), vector(norm), vector(cos[:, 0, :half]), vector(sin[:, 0, :half])
    shape = (config.d_model, config.n_heads, config.n_kv_heads, config.head_dim, config.d_ff, model.vocab_size)

    def structure(threads: int) -> ctypes.Array[ctypes.c_char]:
        numbers = (*shape, config.n_layers, FORMS.index(dtype), config.max_seq_len, threads)
        whole = struct.pack("@10q2f4P", *numbers, config.norm_eps, 0.0, *pointers)
        return ctypes.create_string_buffer(whole + head + struct.pack("@P", ctypes.addressof(table)))

    threads = torch.get_num_threads()
    return Decoder(config, model.vocab_size, read_bytes, library, wide, structure(1), structure(threads), keeps)
