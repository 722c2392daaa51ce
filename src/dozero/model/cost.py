"""What a model costs, from its shape alone: parameters, operations, bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from dozero.settings import ModelConfig

MUON_ROUNDS = 3
"""Rounds of Newton-Schulz in an update by Muon (train/optim.py)."""
ROWS_WORTH_HALVING = 256
"""From so many rows on, half of a symmetric product in blocks is faster than all of it."""


@dataclass(frozen=True)
class Cost:
    """Figures of one model shape."""

    embedding_params: int
    block_params: int
    head_params: int
    norm_params: int
    training_flops_per_token: float
    """Forward and backward, attention included, at full context."""
    kv_cache_bytes_per_token: int
    """Keys and values of one position in bf16."""

    @property
    def params(self) -> int:
        """All parameters, tied ones counted once."""
        return self.embedding_params + self.block_params + self.head_params + self.norm_params


def model_cost(config: ModelConfig, vocab_size: int) -> Cost:
    """Return the figures of a shape.

    A multiply-add counts as 2 operations; backward costs twice the forward; a causal position sees half of the
    context on average, but the full square is computed and so counted (as in Kaplan et al. 2020, plus attention).
    """
    C, L, T = config.d_model, config.n_layers, config.max_seq_len
    q, kv = config.n_heads * config.head_dim, config.n_kv_heads * config.head_dim
    matrices = C * q + 2 * C * kv + q * C + 3 * C * config.d_ff
    biases = q + 2 * kv if config.attention_bias else 0
    norms = L * (2 * C + (2 * config.head_dim if config.qk_norm else 0)) + C
    multiplied = L * matrices + C * vocab_size
    attention = L * 2 * T * q
    return Cost(
        embedding_params=vocab_size * C,
        block_params=L * (matrices + biases),
        head_params=0 if config.tie_embeddings else vocab_size * C,
        norm_params=norms,
        training_flops_per_token=6.0 * (multiplied + attention),
        kv_cache_bytes_per_token=2 * L * kv * 2,
    )


def update_flops(config: ModelConfig) -> float:
    """Return the operations of Muon's products in one update: some rounds on each matrix of the blocks.

    A round multiplies x xᵀ, the square of that, and their sum with x, on the smaller side. Counted as written there:
    train/optim.py leaves out half of what is symmetric where that is faster. AdamW and the rest go number by number,
    which is little.
    """
    return MUON_ROUNDS * sum(n * (4.0 * rows**2 * cols + 2.0 * rows**3) for n, rows, cols in muon_stacks(config))


def rows_wait(rows: int, cols: int, element_bytes: int) -> bool:
    """Return whether Muon multiplies the long rows of such a matrix once, after all rounds, which take its Gram matrix."""
    return element_bytes > 2 and rows >= ROWS_WORTH_HALVING and cols >= 2 * rows


def muon_stacks(config: ModelConfig) -> Iterator[tuple[int, int, int]]:
    """Yield the matrices that Muon moves in one stack each: how many, their smaller and their larger side."""
    C, L = config.d_model, config.n_layers
    q, kv = config.n_heads * config.head_dim, config.n_kv_heads * config.head_dim
    shapes = Counter({(q, C): L})
    for shape, count in (((kv, C), 2 * L), ((C, q), L), ((config.d_ff, C), 2 * L), ((C, config.d_ff), L)):
        shapes[shape] += count
    for (rows, cols), count in shapes.items():
        yield count, min(rows, cols), max(rows, cols)
