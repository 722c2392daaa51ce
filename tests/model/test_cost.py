"""Costs are told from the shape alone; here they are counted on the model itself."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from dozero.config import load_config
from dozero.model.cost import model_cost, saved_bytes, training_memory, update_flops
from dozero.model.transformer import Transformer
from dozero.settings import ModelConfig, OptimConfig
from dozero.train.loss import next_token_loss
from dozero.train.optim import build_optimizer, update
from dozero.train.recompute import recompute_blocks


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


# --- memory ------------------------------------------------------------------------------------------------------


def run_config(config, rows=2, **train):
    run = load_config()
    train = {"batch_tokens": rows * config.max_seq_len, "observe_every": 0, **train}
    return run.model_copy(update={"model": config, "train": run.train.model_copy(update=train)})


@given(shapes(), vocab_sizes)
def test_weights_gradients_and_state_are_those_of_model_and_optimizer(config, vocab_size):
    model = Transformer(config, vocab_size)
    state = build_optimizer(model, OptimConfig()).state.values()
    told = training_memory(run_config(config), vocab_size, 4)
    assert told.weights_bytes == told.gradients_bytes == 4 * sum(p.numel() for p in model.parameters())
    assert told.optimizer_bytes == 4 * sum(t.numel() for t in state)


class SavedTensors:
    """Counts the bytes of the storages that autograd keeps, each once; those of the model's weights not at all."""

    def __init__(self, model):
        self.known = {p.untyped_storage().data_ptr() for p in model.parameters()}
        self.storages = {}

    def see(self, tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self.known:
            self.storages[storage.data_ptr()] = storage  # held, so that no other one comes to lie there
        return tensor

    @property
    def count(self):
        return sum(storage.nbytes() for storage in self.storages.values())


def run_forward(model, rows):
    ids = torch.arange(rows * model.config.max_seq_len).reshape(rows, -1) % model.vocab_size
    return next_token_loss(model(ids, torch.zeros_like(ids)), ids.clone(), ids.numel())


def kept_by_hand(model, rows):
    """Bytes that torch keeps for the backward pass of some rows, counted on the model itself."""
    counted = SavedTensors(model)
    with torch.autograd.graph.saved_tensors_hooks(counted.see, lambda tensor: tensor):
        loss = run_forward(model, rows)
    assert loss.requires_grad
    return counted.count


WIDE = {"d_model": 32, "n_layers": 2, "n_heads": 4, "n_kv_heads": 4, "head_dim": 8, "d_ff": 72}
ROUNDING = 8  # bytes: of the loss, the sum of what cross_entropy weighs its targets by


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("T", [16, 256, 264])
@pytest.mark.parametrize(
    "change",
    [{}, {"n_kv_heads": 2}, {"qk_norm": False}, {"qk_norm": False, "n_kv_heads": 1}, {"tie_embeddings": True},
     {"qk_norm": False, "attention_bias": True}],
)  # fmt: skip
def test_what_is_kept_for_the_backward_pass_is_what_torch_keeps(change, T, dtype):
    config = ModelConfig(**{**WIDE, "max_seq_len": T, **change})
    told = saved_bytes(config, 50, rows=3, element_bytes=dtype.itemsize)
    blocks = config.n_layers * (told.block_bytes + told.block_copies_bytes)
    total = blocks + told.ends_bytes + told.mask_bytes * (T > 256) + told.head_copy_bytes + told.log_probabilities_bytes
    assert kept_by_hand(Transformer(config, 50, dtype), rows=3) == pytest.approx(total, abs=ROUNDING)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("T", [16, 264])
def test_with_blocks_computed_again_what_is_kept_is_their_inputs(T, dtype):
    model = Transformer(ModelConfig(**WIDE, max_seq_len=T), 50, dtype)
    recompute_blocks(model)
    tables = dtype.itemsize * (2 * T * 8 + 8 * 8)  # of the rotation, which `checkpoint` holds as a plain argument
    told = saved_bytes(model.config, 50, rows=3, element_bytes=dtype.itemsize)
    total = 2 * told.entrance_bytes + told.ends_bytes + told.mask_bytes + told.head_copy_bytes
    total += told.log_probabilities_bytes - tables
    assert kept_by_hand(model, rows=3) == pytest.approx(total, abs=ROUNDING)


def test_portions_and_computing_again_lower_the_peak_and_looks_raise_it():
    config = ModelConfig(**{**WIDE, "n_layers": 8}, max_seq_len=64)
    whole = training_memory(run_config(config, rows=64), 50, 4).alive_bytes
    portions = training_memory(run_config(config, rows=64, micro_batch_tokens=256), 50, 4).alive_bytes
    again = training_memory(run_config(config, rows=64, checkpoint_activations=True), 50, 4).alive_bytes
    looked = training_memory(run_config(config, rows=64, observe_every=50), 50, 4)
    assert portions < again < whole == looked.alive_bytes - looked.look_bytes
