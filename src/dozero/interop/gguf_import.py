"""A GGUF file of the families we know as shape, weights under Hugging Face's names, and tokenizer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dozero.errors import ModelMismatch
from dozero.interop.gguf_file import Gguf, open_gguf
from dozero.interop.gguf_layout import ARCHITECTURES, heads_to_turn, hf_name, to_halves
from dozero.interop.gguf_words import tokenizer_of, words_in
from dozero.interop.shapes import FAMILIES
from dozero.interop.source import Source
from dozero.settings import ModelConfig

_FAMILY = {theirs: ours for ours, theirs in ARCHITECTURES.items()}
_KNOWN = {
    "block_count", "context_length", "embedding_length", "feed_forward_length", "attention.head_count",
    "attention.head_count_kv", "attention.key_length", "attention.value_length", "attention.layer_norm_rms_epsilon",
    "rope.dimension_count", "rope.freq_base", "vocab_size",
}  # fmt: skip
_ONLY = {"rope.scaling.type": "none", "expert_count": 0, "attention.causal": True}


def read_gguf_source(file: Path) -> Source:
    """Return what a GGUF file holds, its weights in fp32; ModelMismatch says what of it is not known here."""
    gguf = open_gguf(file)
    config = read_gguf_shape(gguf)
    tokenizer = tokenizer_of(words_in(gguf.metadata, file), file)
    about = {
        "source": str(gguf.metadata.get("general.name") or file.stem),
        "licence": str(gguf.metadata.get("general.license") or "unknown"),
        "stored as": ", ".join(sorted({t.type for t in gguf.tensors if len(t.shape) > 1})),
    }
    return Source(file, (file,), config, _read_tensors(gguf, config), tokenizer, torch.float32, about)


def read_gguf_shape(gguf: Gguf) -> ModelConfig:
    """Return the shape of the model in a GGUF file."""
    metadata, file = gguf.metadata, gguf.file
    kind = metadata.get("general.architecture")
    if kind not in _FAMILY:
        raise ModelMismatch("another architecture", where=file, expected=", ".join(_FAMILY), got=repr(kind)[:100])
    if metadata.get("split.count", 1) > 1:
        raise ModelMismatch(
            "one of several parts", where=file, expected="the whole model in one file", got=metadata["split.count"]
        )
    told = {key.removeprefix(f"{kind}."): value for key, value in metadata.items() if key.startswith(f"{kind}.")}
    for key in sorted(set(told) - _KNOWN):
        if key not in _ONLY or told[key] != _ONLY[key]:
            raise ModelMismatch(
                "needs what dozero does not compute", where=file, got=f"{kind}.{key} = {told[key]!r}"[:150]
            )
    try:
        return _shape_of(told, _FAMILY[kind], is_tied=all(t.name != "output.weight" for t in gguf.tensors))
    except (KeyError, ValueError, TypeError, ZeroDivisionError) as error:
        message = " ".join(str(error).split())[:200]
        raise ModelMismatch(f"not a shape that dozero takes ({type(error).__name__}: {message})", where=file) from None


def _shape_of(told: Mapping[str, Any], family: str, *, is_tied: bool) -> ModelConfig:
    heads = told["attention.head_count"]
    head_dim = told.get("attention.key_length", told["embedding_length"] // heads)
    if not head_dim == told.get("attention.value_length", head_dim) == told.get("rope.dimension_count", head_dim):
        raise ValueError("keys, values and turned coordinates of different widths")
    return ModelConfig(
        d_model=told["embedding_length"],
        n_layers=told["block_count"],
        n_heads=heads,
        n_kv_heads=told.get("attention.head_count_kv", heads),
        head_dim=head_dim,
        d_ff=told["feed_forward_length"],
        max_seq_len=told["context_length"],
        tie_embeddings=is_tied,
        rope_theta=told.get("rope.freq_base", 10_000.0),
        norm_eps=_as_written(told["attention.layer_norm_rms_epsilon"]),
        **FAMILIES[family],
    )


def _as_written(value: float) -> float:
    """Return a number that went through fp32 as it was typed: 1e-5, not 9.999999747378752e-06."""
    return float(f"{value:.6g}")


def _read_tensors(gguf: Gguf, config: ModelConfig) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for tensor in gguf.tensors:
        name = hf_name(tensor.name)
        if name is None:
            raise ModelMismatch("a tensor that dozero has no use for", where=gguf.file, got=tensor.name[:100])
        values = gguf.values(tensor)
        heads = heads_to_turn(name, config)
        if heads and values.shape[0] == heads * config.head_dim:  # another shape is told later, with the name
            values = to_halves(values, heads)
        tensors[name] = torch.from_numpy(values)
    return tensors
