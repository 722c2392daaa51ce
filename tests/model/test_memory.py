"""The memory of training is told from the settings alone; here it is counted on the model itself."""

import gc
import itertools

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from dozero.config import load_config
from dozero.dataset.batch import Batch
from dozero.device import pick_device
from dozero.model.memory import is_written_out, saved_bytes, training_memory
from dozero.model.transformer import Transformer
from dozero.settings import ModelConfig, OptimConfig
from dozero.train.attention import use_attention
from dozero.train.fused import open_kernels
from dozero.train.learner import build_learner
from dozero.train.loss import next_token_loss
from dozero.train.optim import build_optimizer
from dozero.train.recompute import recompute_blocks
from dozero.train.step import Schedule, kernels_of, train_step

needs_compiler = pytest.mark.skipif(open_kernels() is None, reason="no C compiler")


def run_config(config, rows=2, **train):
    run = load_config()
    train = {"batch_tokens": rows * config.max_seq_len, "observe_every": 0, **train}
    return run.model_copy(update={"model": config, "train": run.train.model_copy(update=train)})


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
    return next_token_loss(model(ids, torch.zeros_like(ids)), ids.clone(), ids.numel(), kernels_of(model))


def kept_by_hand(model, rows, kernel):
    """Bytes that torch keeps for the backward pass of some rows, counted on the model itself."""
    use_attention(model, kernel)
    counted = SavedTensors(model)
    with torch.autograd.graph.saved_tensors_hooks(counted.see, lambda tensor: tensor):
        loss = run_forward(model, rows)
    assert loss.requires_grad
    return counted.count


WIDE = {"d_model": 32, "n_layers": 2, "n_heads": 4, "n_kv_heads": 4, "head_dim": 8, "d_ff": 72}


CHANGES = (
    {}, {"n_kv_heads": 2}, {"qk_norm": False}, {"qk_norm": False, "n_kv_heads": 1}, {"tie_embeddings": True},
    {"qk_norm": False, "attention_bias": True},
)  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_weights_gradients_and_state_are_those_of_model_and_optimizer(change):
    config = ModelConfig(**{**WIDE, **change})
    model = Transformer(config, 50)
    state = build_optimizer(model, OptimConfig()).state.values()
    told = training_memory(run_config(config), 50, 4)
    assert told.weights_bytes == told.gradients_bytes == 4 * sum(p.numel() for p in model.parameters())
    assert told.optimizer_bytes == 4 * sum(t.numel() for t in state)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("T", "kernel"), [(16, "library"), (256, "auto"), (264, "auto"), (264, "written"), (264, "library")]
)
@pytest.mark.parametrize("change", CHANGES)
def test_what_is_kept_for_the_backward_pass_is_what_torch_keeps(change, T, kernel, dtype):
    config = ModelConfig(**{**WIDE, "max_seq_len": T, **change})
    told = saved_bytes(config, 50, 3, dtype.itemsize, kernel)
    blocks = config.n_layers * (told.block_bytes + told.block_copies_bytes)
    mask = told.mask_bytes * (not is_written_out(config, kernel))
    total = blocks + told.ends_bytes + mask + told.head_copy_bytes + told.logit_gradient_bytes
    assert kept_by_hand(Transformer(config, 50, dtype), 3, kernel) == total


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kernel", ["written", "library"])
def test_with_blocks_computed_again_what_is_kept_is_their_inputs(kernel, dtype):
    T = 32
    model = Transformer(ModelConfig(**WIDE, max_seq_len=T), 50, dtype)
    recompute_blocks(model)
    tables = dtype.itemsize * (2 * T * 8 + 8 * 8)  # of the rotation, which `checkpoint` holds as a plain argument
    told = saved_bytes(model.config, 50, 3, dtype.itemsize, kernel)
    total = 2 * told.entrance_bytes + told.ends_bytes + told.mask_bytes + told.head_copy_bytes
    total += told.logit_gradient_bytes - tables
    assert kept_by_hand(model, 3, kernel) == total


def test_portions_and_computing_again_lower_the_peak_and_looks_raise_it():
    config = ModelConfig(**{**WIDE, "n_layers": 8}, max_seq_len=64)
    whole = training_memory(run_config(config, rows=64), 50, 4).alive_bytes
    portions = training_memory(run_config(config, rows=64, micro_batch_tokens=256), 50, 4).alive_bytes
    again = training_memory(run_config(config, rows=64, checkpoint_activations=True), 50, 4).alive_bytes
    looked = training_memory(run_config(config, rows=64, observe_every=50), 50, 4)
    assert portions < again < whole == looked.alive_bytes - looked.look_bytes


def most_allocated(run):
    """The most bytes that torch's allocator had given out at once while something ran, of what it gave out meanwhile."""
    gc.collect()  # what others left must not be given back meanwhile
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as told:
        run()
    moves = [e for e in told.profiler.kineto_results.events() if e.name() == "[memory]"]
    return max(itertools.accumulate(e.nbytes() for e in sorted(moves, key=lambda e: e.start_ns())))


def two_steps(config, dtype, kernel):
    """Build a learner and make two steps: the second begins with a state that the first has moved."""
    model, optimizer = build_learner(config, 50, pick_device("cpu", dtype, 1))
    use_attention(model, kernel)
    for step in range(2):
        ids = torch.arange(config.rows_per_step * config.model.max_seq_len).reshape(config.rows_per_step, -1) % 50
        batch = Batch(ids, ids.clone(), torch.zeros_like(ids), ids.numel())
        train_step(model, optimizer, batch, step, Schedule(10), rows_at_once=config.rows_at_once)


MOMENTS = {
    "gradient of the loss": ({"n_layers": 1, "max_seq_len": 64, "d_ff": 32}, 64, {}, "written"),
    "backward, attention written out": ({"n_layers": 8, "max_seq_len": 512}, 4, {}, "written"),
    "backward, the library's attention": ({"n_layers": 8, "max_seq_len": 512}, 4, {}, "library"),
    "backward of a block computed again": (
        {"n_layers": 4, "max_seq_len": 128, "d_ff": 256}, 16, {"checkpoint_activations": True}, "written",
    ),
    "backward of a portion": ({"n_layers": 8, "max_seq_len": 64}, 32, {"micro_batch_tokens": 512}, "library"),
    "backward, fused": ({"n_layers": 8, "max_seq_len": 512, "head_dim": 32}, 4, {}, "fused"),
    "gradient of the loss, fused": (
        {"n_layers": 1, "max_seq_len": 64, "d_ff": 32, "head_dim": 32, "n_kv_heads": 2}, 256, {}, "fused",
    ),
    "backward of a fused block computed again": (
        {"n_layers": 4, "max_seq_len": 128, "d_ff": 256, "head_dim": 32}, 16, {"checkpoint_activations": True}, "fused",
    ),
    "update by Muon, fused": (
        {"n_layers": 8, "max_seq_len": 16, "d_model": 64, "d_ff": 192, "head_dim": 32}, 2, {}, "fused",
    ),
    "update by Muon, rounds on the Gram matrix": (
        {"n_layers": 2, "max_seq_len": 16, "d_model": 256, "d_ff": 512, "head_dim": 32}, 2, {}, "fused",
    ),
    "update by Muon, halves of symmetric products": (
        {"n_layers": 2, "max_seq_len": 16, "d_model": 256, "d_ff": 384, "head_dim": 32}, 2, {}, "fused",
    ),
    "update by Muon": ({"n_layers": 8, "max_seq_len": 16, "d_model": 64, "d_ff": 192}, 2, {}, "written"),
}  # fmt: skip


@needs_compiler
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("change", [{}, {"n_kv_heads": 2}, {"qk_norm": False}])
def test_what_fused_blocks_keep_is_what_is_told(change, dtype):
    config = ModelConfig(**{**WIDE, "head_dim": 32, "max_seq_len": 40, **change})
    told = saved_bytes(config, 50, 3, dtype.itemsize, "fused")
    tables = 4 * 40 * 32  # of the rotation, which are no tensors that autograd saves
    ids = 8 * 3 * 40  # of the targets: the loss has its gradient already
    total = 2 * (told.block_bytes + told.block_copies_bytes) + told.ends_bytes + told.head_copy_bytes - tables - ids
    logits = dtype.itemsize * 3 * 40 * 50  # where their gradient is kept
    assert kept_by_hand(Transformer(config, 50, dtype), 3, "fused") == total + logits


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(("shape", "rows", "train", "kernel"), MOMENTS.values(), ids=MOMENTS)
def test_what_is_in_use_at_the_highest_moment_is_what_torch_allocates(shape, rows, train, kernel, dtype):
    if kernel == "fused" and open_kernels() is None:
        pytest.skip("no C compiler")
    config = run_config(ModelConfig(**{**WIDE, **shape}), rows=rows, **train)
    told = training_memory(config, 50, getattr(torch, dtype).itemsize, kernel).alive_bytes
    assert told == pytest.approx(most_allocated(lambda: two_steps(config, dtype, kernel)), rel=0.02)
