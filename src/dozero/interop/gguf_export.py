"""A model as one GGUF file, for llama.cpp and all that is built on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dozero.interop.gguf_layout import ARCHITECTURES, gguf_name, heads_to_turn, to_neighbours
from dozero.interop.gguf_words import metadata_of, words_of
from dozero.interop.packages import need
from dozero.model.transformer import Transformer
from dozero.settings import ModelConfig
from dozero.tokenizer.tokenizer import Tokenizer

TYPES = {"f32": "F32", "f16": "F16", "bf16": "BF16", "q8_0": "Q8_0"}
_FILE_TYPES = {"f32": "ALL_F32", "f16": "MOSTLY_F16", "bf16": "MOSTLY_BF16", "q8_0": "MOSTLY_Q8_0"}
_BLOCK = 32  # values that share a scale in Q8_0


@dataclass(frozen=True)
class Written:
    """What a GGUF holds: how many tensors of each type."""

    types: dict[str, int]


def write_gguf(
    model: Transformer, tokenizer: Tokenizer, file: Path, kind: str, about: Mapping[str, Any] | None = None
) -> Written:
    """Write model, tokenizer and facts to a GGUF file, matrices in the type `kind`.

    Vectors stay in fp32. A matrix whose rows do not fill blocks of 32 is F16 in a q8_0 file, as llama.cpp has it.
    """
    gguf = need("gguf")
    config = model.config
    writer = gguf.GGUFWriter(file, ARCHITECTURES[config.architecture])
    _add_all(gguf, writer, _facts(model, kind, about or {}))
    _add_all(gguf, writer, _shape(config, model.vocab_size))
    _add_all(gguf, writer, metadata_of(words_of(tokenizer)))
    types: dict[str, int] = {}
    for name, parameter in model.named_parameters(remove_duplicate=True):
        values = parameter.detach().cpu().to(torch.float32).numpy()
        if heads := heads_to_turn(name, config):
            values = to_neighbours(values, heads)
        its = _type_of(values, kind)
        types[its] = types.get(its, 0) + 1
        quantity = gguf.GGMLQuantizationType[its]
        stored = np.ascontiguousarray(gguf.quants.quantize(values, quantity))
        writer.add_tensor(gguf_name(name), stored, raw_dtype=quantity)
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()
    return Written(types)


def _type_of(values: NDArray[np.float32], kind: str) -> str:
    if values.ndim == 1:
        return "F32"
    return "F16" if kind == "q8_0" and values.shape[-1] % _BLOCK else TYPES[kind]


def _facts(model: Transformer, kind: str, about: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a GGUF says of a model in general."""
    gguf = need("gguf")
    source, language = str(about.get("source", "")), str(about.get("language", ""))
    facts: dict[str, Any] = {
        "general.type": "model",
        "general.name": str(about.get("name", "dozero")),
        "general.file_type": int(gguf.LlamaFileType[_FILE_TYPES[kind]]),
        "general.license": str(about.get("licence", "")),
        "general.description": f"Learned from {source}" if source else "",
        "dozero.source": source,
        "general.languages": [language] if language else [],
        "general.quantized_by": "dozero" if kind == "q8_0" else "",
        "dozero.parameters": sum(p.numel() for p in model.parameters()),
    }
    if kind == "q8_0":
        facts["general.quantization_version"] = int(gguf.GGML_QUANT_VERSION)
    return {key: value for key, value in facts.items() if value not in ("", [])}


def _shape(config: ModelConfig, vocab_size: int) -> dict[str, Any]:
    """Return what a GGUF says of a model's shape."""
    shape: dict[str, Any] = {
        "block_count": config.n_layers,
        "context_length": config.max_seq_len,
        "embedding_length": config.d_model,
        "feed_forward_length": config.d_ff,
        "attention.head_count": config.n_heads,
        "attention.head_count_kv": config.n_kv_heads,
        "attention.key_length": config.head_dim,
        "attention.value_length": config.head_dim,
        "attention.layer_norm_rms_epsilon": float(config.norm_eps),
        "rope.dimension_count": config.head_dim,
        "rope.freq_base": float(config.rope_theta),
        "vocab_size": vocab_size,
    }
    return {f"{ARCHITECTURES[config.architecture]}.{key}": value for key, value in shape.items()}


def _add_all(gguf: Any, writer: Any, entries: Mapping[str, Any]) -> None:
    """Add keys with their values, each as the kind that llama.cpp reads it as."""
    kinds = gguf.GGUFValueType
    for key, value in entries.items():
        if isinstance(value, list):
            writer.add_array(key, value)
        elif isinstance(value, bool):
            writer.add_key_value(key, value, kinds.BOOL)
        elif isinstance(value, int):
            writer.add_key_value(key, value, kinds.UINT32 if value < 2**32 else kinds.UINT64)
        elif isinstance(value, float):
            writer.add_key_value(key, value, kinds.FLOAT32)
        else:
            writer.add_key_value(key, value, kinds.STRING)
