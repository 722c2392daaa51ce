"""Names are those of the package gguf, and rows change places as its converters change them."""

import gguf
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozero.interop.gguf_layout import ARCHITECTURES, gguf_name, heads_to_turn, hf_name, to_halves, to_neighbours
from dozero.model.transformer import Transformer
from dozero.settings import ModelConfig

FAMILIES = {
    "llama": {"qk_norm": False},
    "qwen2": {"qk_norm": False, "attention_bias": True},
    "qwen3": {},
}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_parameter_has_the_name_that_the_package_gives_it(family):
    config = ModelConfig(**FAMILIES[family])
    assert ARCHITECTURES[config.architecture] == family
    arch = next(a for a, name in gguf.MODEL_ARCH_NAMES.items() if name == family)
    names = gguf.get_tensor_name_map(arch, config.n_layers)
    for name, _ in Transformer(config, 10).named_parameters():
        assert gguf_name(name) == names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert hf_name(gguf_name(name)) == name


def test_tensors_that_we_have_no_use_for_have_no_name():
    for name in ("rope_freqs.weight", "blk.0.ffn_gate_inp.weight", "x.token_embd.weight", "blk.a.attn_q.weight"):
        assert hf_name(name) is None


def permute_as_llama_cpp(weights, heads):
    """Copied in meaning from llama.cpp's convert_hf_to_gguf.py, LlamaModel.permute."""
    return (
        weights.reshape(heads, 2, weights.shape[0] // heads // 2, *weights.shape[1:])
        .swapaxes(1, 2)
        .reshape(weights.shape)
    )


@given(st.integers(1, 4), st.integers(1, 4), st.sampled_from([(), (3,)]))
def test_rows_change_places_as_in_llama_cpp_and_back(heads, half, more):
    rows = np.random.default_rng(0).normal(size=(heads * half * 2, *more)).astype(np.float32)
    there = to_neighbours(rows, heads)
    assert np.array_equal(there, permute_as_llama_cpp(rows, heads))
    assert np.array_equal(to_halves(there, heads), rows)


def test_only_a_llamas_queries_and_keys_are_turned():
    llama, qwen = ModelConfig(qk_norm=False, n_heads=4, n_kv_heads=2), ModelConfig(n_heads=4, n_kv_heads=2)
    names = [name for name, _ in Transformer(llama, 10).named_parameters()]
    assert {name.split(".")[-2]: heads_to_turn(name, llama) for name in names if heads_to_turn(name, llama)} == {
        "q_proj": 4, "k_proj": 2,
    }  # fmt: skip
    assert not any(heads_to_turn(name, qwen) for name, _ in Transformer(qwen, 10).named_parameters())
