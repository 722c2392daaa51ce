"""How GGUF and Hugging Face name and lay out the same weights.

Two things differ besides the names. llama.cpp turns neighbouring coordinates (2i, 2i + 1) of a Llama's queries and keys
where transformers turns (i, i + D/2), so the rows of those two matrices change places; for Qwen it turns them as
transformers does. And shapes are written from the last axis to the first.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from dozero.settings import ModelConfig

ARCHITECTURES = {"LlamaForCausalLM": "llama", "Qwen2ForCausalLM": "qwen2", "Qwen3ForCausalLM": "qwen3"}
_OUTSIDE = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
_INSIDE = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_OUTSIDE_BACK = {theirs: ours for ours, theirs in _OUTSIDE.items()}
_INSIDE_BACK = {theirs: ours for ours, theirs in _INSIDE.items()}


def gguf_name(name: str) -> str:
    """Return GGUF's name of a parameter.

    >>> gguf_name("model.layers.7.self_attn.q_proj.bias"), gguf_name("lm_head.weight")
    ('blk.7.attn_q.bias', 'output.weight')
    """
    place, _, kind = name.rpartition(".")
    layer = re.fullmatch(r"model\.layers\.(\d+)\.(.+)", place)
    return f"blk.{layer[1]}.{_INSIDE[layer[2]]}.{kind}" if layer else f"{_OUTSIDE[place]}.{kind}"


def hf_name(name: str) -> str | None:
    """Return our name of one of GGUF's tensors, None for a tensor that we have no use for.

    >>> hf_name("blk.7.attn_q.bias"), hf_name("rope_freqs.weight")
    ('model.layers.7.self_attn.q_proj.bias', None)
    """
    place, _, kind = name.rpartition(".")
    layer = re.fullmatch(r"blk\.(\d+)\.(.+)", place)
    if layer and layer[2] in _INSIDE_BACK:
        return f"model.layers.{layer[1]}.{_INSIDE_BACK[layer[2]]}.{kind}"
    return f"{_OUTSIDE_BACK[place]}.{kind}" if place in _OUTSIDE_BACK else None


def heads_to_turn(name: str, config: ModelConfig) -> int:
    """Return how many heads the rows of a parameter hold that llama.cpp wants in its own order; 0 for none."""
    if config.architecture != "LlamaForCausalLM":
        return 0
    if ".q_proj." in name:
        return config.n_heads
    return config.n_kv_heads if ".k_proj." in name else 0


def to_neighbours(rows: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Return the rows with those of coordinates i and i + D/2 of each head side by side.

    >>> to_neighbours(np.arange(8, dtype=np.float32)[:, None], heads=2).ravel().tolist()
    [0.0, 2.0, 1.0, 3.0, 4.0, 6.0, 5.0, 7.0]
    """
    return rows.reshape(heads, 2, -1, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def to_halves(rows: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Return the rows as they were before `to_neighbours`."""
    return rows.reshape(heads, -1, 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)
