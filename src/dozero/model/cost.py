"""What a model costs, from its shape alone: parameters, operations, bytes."""

from __future__ import annotations

from dataclasses import dataclass

from dozero.settings import ModelConfig


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


def training_bytes(config: ModelConfig, vocab_size: int) -> int:
    """Return the bytes of weights, gradients and optimizer state in fp32, activations left out.

    AdamW keeps two numbers a parameter, Muon one, and Muon takes the matrices inside the blocks alone.
    """
    cost = model_cost(config, vocab_size)
    biases = config.n_layers * (config.n_heads + 2 * config.n_kv_heads) * config.head_dim * config.attention_bias
    matrices = cost.block_params - biases
    others = cost.params - matrices
    return 4 * (3 * matrices + 4 * others)
