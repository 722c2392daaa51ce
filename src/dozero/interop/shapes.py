"""What config.json of others may say: every key is known here, and every one that changes the arithmetic is checked.

A key that is not known could mean anything, so it is refused by name rather than passed over.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dozero.errors import ModelMismatch
from dozero.settings import ModelConfig

# A Mistral that looks at all positions is a Llama.
FAMILIES = {
    "LlamaForCausalLM": {"qk_norm": False, "attention_bias": False},
    "MistralForCausalLM": {"qk_norm": False, "attention_bias": False},
    "Qwen2ForCausalLM": {"qk_norm": False, "attention_bias": True},
    "Qwen3ForCausalLM": {"qk_norm": True, "attention_bias": False},
}
_MISTRAL_WINDOW = 4096  # what its config.json means by saying nothing
_SIZES = {
    "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim",
    "vocab_size", "max_position_embeddings", "rms_norm_eps", "rope_theta", "rope_parameters", "rope_scaling",
    "tie_word_embeddings", "architectures", "model_type",
}  # fmt: skip
# Nothing that we compute depends on these: how it was trained, by what it was saved, what generate() prefers.
_IDLE = {
    "_attn_implementation_autoset", "_name_or_path", "attention_dropout", "bos_token_id", "chunk_size_feed_forward",
    "dtype", "eos_token_id", "id2label", "initializer_range", "is_llama_config", "label2id", "max_window_layers",
    "output_attentions", "output_hidden_states", "pad_token_id", "problem_type", "return_dict", "torch_dtype", "transformers.js_config",
    "transformers_version", "unk_token_id", "use_cache",
}  # fmt: skip
# Where one of these is there, only these values leave the arithmetic as it is here.
_ONLY = {
    "hidden_act": ("silu",),
    "mlp_bias": (False,),
    "attention_bias": (False,),
    "use_sliding_window": (False, None),
    "pretraining_tp": (1, None),
    "rope_interleaved": (False, None),
    "is_encoder_decoder": (False,),
    "add_cross_attention": (False,),
    "no_rope_layers": (None,),
    "quantization_config": (None,),
}


def read_shape(file: Path) -> tuple[ModelConfig, int]:
    """Return shape and vocabulary size of a config.json of the families we take; ModelMismatch says what is unknown."""
    try:
        tree = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelMismatch("no model here", where=file.parent, expected="a folder with config.json") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ModelMismatch(f"cannot be read ({error})", where=file) from None
    if not isinstance(tree, dict):
        raise ModelMismatch("not a table", where=file, got=type(tree).__name__)
    if "auto_map" in tree:
        raise ModelMismatch(
            "asks to run code that comes with it, which dozero never does", where=file, expected=", ".join(FAMILIES),
            got=f"auto_map = {json.dumps(tree['auto_map'])[:100]}",
        )  # fmt: skip
    named = tree.get("architectures")
    family = named[0] if isinstance(named, list) and len(named) == 1 and isinstance(named[0], str) else None
    if family not in FAMILIES:
        raise ModelMismatch(
            "another architecture", where=file, expected=", ".join(FAMILIES), got=json.dumps(named)[:100]
        )
    if family == "MistralForCausalLM":
        tree = {"sliding_window": _MISTRAL_WINDOW} | tree
    _refuse_what_differs(tree, family, file)
    try:
        return _shape_of(tree, family), int(tree["vocab_size"])
    except (KeyError, ValueError, TypeError, AttributeError, ZeroDivisionError) as error:
        told = " ".join(str(error).split())[:200]
        raise ModelMismatch(f"not a shape that dozero takes ({type(error).__name__}: {told})", where=file) from None


def _refuse_what_differs(tree: Mapping[str, Any], family: str, file: Path) -> None:
    """Raise ModelMismatch for a key that is not known, or whose value means other arithmetic than ours."""
    if odd := sorted(set(tree) - _SIZES - _IDLE - set(_ONLY) - {"sliding_window", "layer_types"}):
        raise ModelMismatch("a setting that dozero does not know", where=file, got=f"{odd[0]} = {_told(tree[odd[0]])}")
    for key, allowed in _ONLY.items():
        if key == "attention_bias" and FAMILIES[family][key]:
            continue  # there they are, whatever is said
        if key in tree and tree[key] not in allowed:
            raise ModelMismatch("needs what dozero does not compute", where=file, got=f"{key} = {_told(tree[key])}")
    if any(kind != "full_attention" for kind in tree.get("layer_types") or ()):
        raise ModelMismatch("needs a sliding window", where=file, got=f"layer_types = {_told(tree['layer_types'])}")
    window, is_off = tree.get("sliding_window"), tree.get("use_sliding_window") is False
    if window is not None and not is_off and window < tree.get("max_position_embeddings", 0):
        raise ModelMismatch("needs a sliding window", where=file, got=f"sliding_window = {_told(window)}")


def _told(value: Any) -> str:
    return json.dumps(value)[:100]


def _shape_of(tree: Mapping[str, Any], family: str) -> ModelConfig:
    heads = tree["num_attention_heads"]
    return ModelConfig(
        d_model=tree["hidden_size"],
        n_layers=tree["num_hidden_layers"],
        n_heads=heads,
        n_kv_heads=tree.get("num_key_value_heads") or heads,
        head_dim=(tree["head_dim"] if family == "Qwen3ForCausalLM" else tree.get("head_dim"))
        or tree["hidden_size"] // heads,
        d_ff=tree["intermediate_size"],
        max_seq_len=tree["max_position_embeddings"],
        tie_embeddings=tree.get("tie_word_embeddings", False),
        rope_theta=float(_rope_base(tree)),
        norm_eps=tree.get("rms_norm_eps", 1e-6),
        **FAMILIES[family],
    )


def _rope_base(tree: Mapping[str, Any]) -> float:
    """Return the base of the rotary angles, from where transformers 4 or 5 keeps it; ValueError for scaled angles."""
    for key in ("rope_parameters", "rope_scaling"):
        rope = tree.get(key) or {}
        kind = rope.get("rope_type", rope.get("type", "default"))
        if kind != "default" or set(rope) - {"rope_type", "type", "rope_theta"}:
            raise ValueError(f"{key} = {_told(rope)} scales the rotary angles, which dozero does not")
    return (tree.get("rope_parameters") or {}).get("rope_theta") or tree.get("rope_theta") or 10_000.0
