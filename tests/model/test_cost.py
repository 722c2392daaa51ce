"""Costs are told from the shape alone; here they are counted on the model itself."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from dozero.model.cost import model_cost, update_flops
from dozero.model.transformer import Transformer
from dozero.settings import ModelConfig, OptimConfig
from dozero.train.optim import build_optimizer, update


@st.composite
def shapes(draw):
    kv_heads, qk_norm = draw(st.integers(1, 3)), draw(st.booleans())
    return ModelConfig(
        d_model=draw(st.integers(8, 24)),
        n_layers=draw(st.integers(1, 3)),
        n_heads=kv_heads * draw(st.integers(1, 3)),
        n_kv_heads=kv_heads,
        head_dim=draw(st.sampled_from((2, 4, 10))),
        d_ff=draw(st.integers(8, 40)),
        max_seq_len=draw(st.integers(8, 40)),
        qk_norm=qk_norm,
        attention_bias=not qk_norm and draw(st.booleans()),
        tie_embeddings=draw(st.booleans()),
    )


vocab_sizes = st.integers(2, 40)


@given(shapes(), vocab_sizes)
def test_parameters_are_those_of_the_model_part_by_part(config, vocab_size):
    counted = {"embedding": 0, "block": 0, "head": 0, "norm": 0}
    for name, p in Transformer(config, vocab_size).named_parameters():
        kinds = {"embed_tokens": "embedding", "lm_head": "head", "norm": "norm"}
        counted[next((kind for part, kind in kinds.items() if part in name), "block")] += p.numel()
    cost = model_cost(config, vocab_size)
    told = {"embedding": cost.embedding_params, "block": cost.block_params, "head": cost.head_params}
    assert told | {"norm": cost.norm_params} == counted
    assert cost.params == sum(counted.values())


def counted_training_flops(config, vocab_size):
    """Operations of one row of full length, forward and backward, as torch counts them."""
    model = Transformer(config, vocab_size)
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, config.max_seq_len, dtype=torch.long)).sum().backward()
    return counter.get_total_flops()


@settings(max_examples=20)
@given(shapes(), vocab_sizes)
def test_training_flops_are_those_torch_counts_but_for_the_rotation(config, vocab_size):
    """To the last operation, once the swap of the rotary embedding is added.

    It is a product with a matrix of 0, 1 and -1, once forward and once backward (the matrix learns nothing), which a
    cost of the architecture rightly leaves out: other ways to rotate have none.
    """
    heads, D = config.n_heads + config.n_kv_heads, config.head_dim
    swaps = config.max_seq_len * config.n_layers * heads * D * D * 2 * 2
    told = model_cost(config, vocab_size).training_flops_per_token * config.max_seq_len
    assert counted_training_flops(config, vocab_size) == told + swaps


def test_training_flops_of_the_shape_of_hello_are_within_three_percent_of_what_is_computed():
    config, vocab_size = ModelConfig(max_seq_len=32), 50
    told = model_cost(config, vocab_size).training_flops_per_token * config.max_seq_len
    assert counted_training_flops(config, vocab_size) == pytest.approx(told, rel=0.03)


@given(shapes(), vocab_sizes, st.integers(1, 9))
def test_cache_bytes_are_those_of_a_cache(config, vocab_size, positions):
    cache = Transformer(config, vocab_size, torch.bfloat16).new_cache(1, positions)
    held = sum(t.numel() * t.element_size() for layer in cache for t in (layer.k, layer.v))
    assert held == positions * model_cost(config, vocab_size).kv_cache_bytes_per_token


@settings(max_examples=20)
@given(shapes(), vocab_sizes)
def test_update_flops_are_those_torch_counts(config, vocab_size):
    model = Transformer(config, vocab_size)
    optimizer = build_optimizer(model, OptimConfig())
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    with FlopCounterMode(display=False) as counter:
        update(optimizer, 0, 1.0)
    assert update_flops(config) == counter.get_total_flops()
