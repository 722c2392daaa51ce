"""A model folder in Hugging Face's layout: written here, opened by transformers without custom code, read back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from dozero.durable import write_json
from dozero.errors import ModelMismatch
from dozero.model.transformer import Transformer
from dozero.settings import ModelConfig
from dozero.tokenizer.files import read_tokenizer_json, write_tokenizer_files
from dozero.tokenizer.tokenizer import END_ID, Tokenizer

INDEX = "model.safetensors.index.json"  # of weights that lie in several files
_ARCHITECTURES = {
    "Qwen3ForCausalLM": {"qk_norm": True, "attention_bias": False},
    "Qwen2ForCausalLM": {"qk_norm": False, "attention_bias": True},
    "LlamaForCausalLM": {"qk_norm": False, "attention_bias": False},
}


def hf_config(config: ModelConfig, vocab_size: int, dtype: str = "float32") -> dict[str, Any]:
    """Return config.json. The RoPE base stands twice: at the top for transformers 4, in its own table for 5."""
    return {
        "architectures": [config.architecture],
        "model_type": config.architecture.removesuffix("ForCausalLM").lower(),
        "vocab_size": vocab_size,
        "hidden_size": config.d_model,
        "intermediate_size": config.d_ff,
        "num_hidden_layers": config.n_layers,
        "num_attention_heads": config.n_heads,
        "num_key_value_heads": config.n_kv_heads,
        "head_dim": config.head_dim,
        "hidden_act": "silu",
        "max_position_embeddings": config.max_seq_len,
        "rms_norm_eps": config.norm_eps,
        "rope_theta": config.rope_theta,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},
        "attention_bias": config.attention_bias,
        "attention_dropout": 0.0,
        "use_sliding_window": False,
        "mlp_bias": False,
        "tie_word_embeddings": config.tie_embeddings,
        "bos_token_id": END_ID,
        "eos_token_id": END_ID,
        "pad_token_id": END_ID,
        "dtype": dtype,
        "torch_dtype": dtype,
    }


def read_hf_config(file: Path) -> tuple[ModelConfig, int]:
    """Return shape and vocabulary size from a config.json; ModelMismatch for an architecture that is not ours."""
    try:
        tree = json.loads(file.read_text(encoding="utf-8"))
        (architecture,) = tree["architectures"]
        kind, rope = _ARCHITECTURES[architecture], tree["rope_parameters"]
        if tree["hidden_act"] != "silu" or rope["rope_type"] != "default" or tree.get("use_sliding_window"):
            raise ValueError("needs another activation, rotary scaling or a sliding window")
        config = ModelConfig(
            d_model=tree["hidden_size"],
            n_layers=tree["num_hidden_layers"],
            n_heads=tree["num_attention_heads"],
            n_kv_heads=tree["num_key_value_heads"],
            head_dim=tree.get("head_dim") or tree["hidden_size"] // tree["num_attention_heads"],  # Qwen2 has none
            d_ff=tree["intermediate_size"],
            max_seq_len=tree["max_position_embeddings"],
            qk_norm=kind["qk_norm"],
            attention_bias=kind["attention_bias"],
            tie_embeddings=tree["tie_word_embeddings"],
            rope_theta=rope["rope_theta"],
            norm_eps=tree["rms_norm_eps"],
        )
        return config, int(tree["vocab_size"])
    except FileNotFoundError:
        raise ModelMismatch("no model here", where=file.parent, expected="a folder with config.json") from None
    except (OSError, KeyError, ValueError, TypeError) as error:
        known = ", ".join(_ARCHITECTURES)
        raise ModelMismatch(f"not a model that dozero opens ({error!r})", where=file, expected=known) from None


def write_model_files(model: Transformer, tokenizer: Tokenizer, folder: Path, *, weights: bool = True) -> None:
    """Write config.json, generation_config.json, model.safetensors (unless told not to) and the tokenizer's files."""
    dtype, roles = str(model.lm_head.weight.dtype).removeprefix("torch."), roles_of(tokenizer)
    write_json(folder / "config.json", hf_config(model.config, model.vocab_size, dtype) | roles)
    generation = roles | {"do_sample": True, "max_length": model.config.max_seq_len}
    write_json(folder / "generation_config.json", generation)
    if weights:
        save_weights(model, folder / "model.safetensors")
    write_tokenizer_files(tokenizer, folder)


def roles_of(tokenizer: Tokenizer) -> dict[str, int | None]:
    """Return which tokens begin and end a text and fill a row, under the names that config.json gives them."""
    its = tokenizer.imported
    begin, end, pad = (END_ID, END_ID, END_ID) if its is None else (its.begin_id, its.end_id, its.pad_id)
    return {"bos_token_id": begin, "eos_token_id": end, "pad_token_id": pad}


def read_model(folder: Path, dtype: torch.dtype = torch.float32) -> tuple[Transformer, Tokenizer]:
    """Return the model, multiplying in `dtype`, and the tokenizer of a folder."""
    config, vocab_size = read_hf_config(folder / "config.json")
    tokenizer = read_tokenizer_json(folder / "tokenizer.json")
    if tokenizer.vocab_size != vocab_size:
        raise ModelMismatch(
            "tokenizer and model disagree", where=folder, expected=f"{vocab_size} tokens", got=tokenizer.vocab_size
        )
    model = Transformer(config, vocab_size, dtype)
    load_weights(model, folder / "model.safetensors")
    return model.eval(), tokenizer


def save_weights(model: Transformer, file: Path) -> None:
    """Write the parameters under their own names; a tied head is its embedding and is left out."""
    tensors = {n: p.detach().cpu().contiguous() for n, p in model.named_parameters(remove_duplicate=True)}
    save_file(tensors, file, metadata={"format": "pt"})


def load_weights(model: Transformer, file: Path) -> None:
    """Copy the weights of a safetensors file, or of those that an index in its place names, into the model.

    ModelMismatch names the first that does not fit.
    """
    copy_weights(read_weights(file), model, file)


def read_weights(file: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file, or of those that an index in its place names."""
    try:
        return {name: t for part in files_of(file) for name, t in load_file(part).items()}
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise ModelMismatch(f"weights cannot be read ({error})", where=file) from None


def copy_weights(tensors: Mapping[str, Tensor], model: Transformer, file: Path) -> None:
    """Copy tensors, which came from `file`, into the parameters of their names; ModelMismatch for one that does not fit."""
    params = dict(model.named_parameters(remove_duplicate=True))
    odd = sorted(set(tensors) ^ set(params))
    if odd:
        raise ModelMismatch("weights of another model", where=file, expected=f"{len(params)} tensors", got=odd[0])
    for name, p in params.items():
        if tensors[name].shape != p.shape:
            raise ModelMismatch(
                f"{name} has another shape", where=file, expected=tuple(p.shape), got=tuple(tensors[name].shape)
            )
        p.data.copy_(tensors[name])


def files_of(file: Path) -> list[Path]:
    """Return the file, or those that the index beside it names when there is no such file."""
    index = file.with_name(INDEX)
    if file.exists() or not index.exists():
        return [file]
    names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    if odd := next((name for name in names if Path(name).name != name or "\\" in name), None):
        raise ValueError(f"{INDEX} names {odd!r}, which is no file beside it")
    return [file.with_name(name) for name in names]
