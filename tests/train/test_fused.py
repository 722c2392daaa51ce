"""fused.c against what torch composes of the same arithmetic: losses, every gradient and every update."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dozero.dataset.batch import IGNORE, Batch
from dozero.device import Device
from dozero.model.transformer import Transformer
from dozero.settings import ModelConfig
from dozero.testing import tiny_config, tiny_dataset
from dozero.train.attention import use_attention
from dozero.train.fused import FusedForward, fuse, open_kernels, unfuse, why_not_fused
from dozero.train.learner import build_model
from dozero.train.loop import train
from dozero.train.loss import next_token_loss
from dozero.train.optim import build_optimizer
from dozero.train.recompute import recompute_blocks
from dozero.train.step import Schedule, kernels_of, train_step

pytestmark = pytest.mark.skipif(open_kernels() is None, reason="no C compiler")
CPU = Device("cpu", torch.float32, 1)
V = 97
# d_model, d_ff, layers, query heads, key/value heads, head_dim, positions, rows, qk_norm: numbers that fill no vector
# or square, one that fills them all, shared heads, long heads.
SHAPES = {
    "odd": (72, 100, 2, 2, 2, 32, 50, 3, True),
    "even": (128, 192, 1, 4, 4, 32, 64, 2, True),
    "shared": (64, 96, 2, 4, 2, 32, 37, 5, True),
    "long heads": (80, 64, 1, 2, 1, 128, 70, 2, True),
    "no norms": (64, 96, 1, 2, 1, 64, 33, 2, False),
    "short": (64, 96, 1, 2, 2, 32, 8, 4, True),
}


def config_of(shape):
    d_model, d_ff, layers, heads, kv_heads, head_dim, positions, _, qk_norm = SHAPES[shape]
    return ModelConfig(d_model=d_model, d_ff=d_ff, n_layers=layers, n_heads=heads, n_kv_heads=kv_heads, head_dim=head_dim,
                       max_seq_len=positions, qk_norm=qk_norm)  # fmt: skip


def random_model(config, dtype=torch.float32, seed=0):
    model, noise = Transformer(config, V, dtype), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():  # scores that differ, and scales that are not all one
            p.copy_(0.15 * torch.randn(p.shape, generator=noise) + (p.ndim == 1))
    return model


def random_batch(rows, positions, seed=0):
    draw = torch.Generator().manual_seed(seed)
    ids, targets = (torch.randint(V, (rows, positions), generator=draw) for _ in range(2))
    targets[torch.rand(rows, positions, generator=draw) < 0.2] = IGNORE
    begins = torch.rand(rows, positions, generator=draw) < 0.1
    return Batch(ids, targets, begins.long().cumsum(1), max(1, int((targets != IGNORE).sum())))


def gradients(model, batch):
    model.zero_grad()
    logits = model(batch.ids, batch.segments)
    loss = next_token_loss(logits, batch.targets, batch.target_tokens, kernels_of(model))
    loss.backward()
    return loss.detach(), {name: p.grad.clone() for name, p in model.named_parameters()}


def farthest(ours, theirs):
    return max(float((ours[name] - theirs[name]).norm() / (theirs[name].norm() + 1e-9)) for name in theirs)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("again", [False, True], ids=["kept", "computed again"])
@pytest.mark.parametrize("shape", SHAPES)
def test_loss_and_all_gradients_are_those_of_the_model(shape, again, threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    config, batch = config_of(shape), random_batch(SHAPES[shape][7], SHAPES[shape][6])
    plain, fused = random_model(config), random_model(config)
    if again:
        recompute_blocks(fused)
    fuse(fused)
    (loss, expected), (mine, got) = gradients(plain, batch), gradients(fused, batch)
    torch.testing.assert_close(mine, loss, rtol=1e-5, atol=1e-6)
    assert farthest(got, expected) < 2e-5
    torch.set_num_threads(before)


@pytest.mark.parametrize("shape", SHAPES)
def test_in_bfloat16_gradients_are_as_near_to_the_exact_ones_as_those_of_torch(shape):
    config, batch = config_of(shape), random_batch(SHAPES[shape][7], SHAPES[shape][6])
    exact = gradients(random_model(config), batch)[1]
    rounded = random_model(config, torch.bfloat16)
    theirs = gradients(rounded, batch)[1]
    fuse(rounded)
    assert farthest(gradients(rounded, batch)[1], exact) < 1.3 * farthest(theirs, exact) + 2e-3


@settings(max_examples=25, deadline=None)
@given(positions=st.integers(1, 100), rows=st.integers(1, 4), seed=st.integers(0, 99), low=st.booleans())
def test_no_position_sees_another_document_or_what_comes_after_it(positions, rows, seed, low):
    config = config_of("shared").model_copy(update={"max_seq_len": positions})
    model, batch = random_model(config, torch.bfloat16 if low else torch.float32), random_batch(rows, positions, seed)
    fuse(model)
    with torch.no_grad():
        whole = model(batch.ids, batch.segments)
        cut = seed % positions
        changed = batch.ids.clone()
        changed[:, cut:] = (changed[:, cut:] + 1) % V
        torch.testing.assert_close(model(changed, batch.segments)[:, :cut], whole[:, :cut], rtol=0, atol=0)
        others = batch.segments != batch.segments[:, -1:]
        elsewhere = torch.where(others, (batch.ids + 1) % V, batch.ids)
        torch.testing.assert_close(model(elsewhere, batch.segments)[:, -1], whole[:, -1], rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_threads_and_other_rows_change_no_bit(dtype):
    """So a run may go on with another number of threads, and slots of a team add up the same anywhere."""
    before, results = torch.get_num_threads(), []
    kernels, draw = open_kernels(), torch.Generator().manual_seed(0)
    x, dy = (torch.randn(300, 96, generator=draw).to(dtype) for _ in range(2))
    logits, targets = torch.randn(300, V, generator=draw).to(dtype), torch.randint(V, (300,), generator=draw)
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        model, batch = random_model(config_of("shared"), dtype), random_batch(5, 37)
        fuse(model)
        loss, grads = gradients(model, batch)
        norm, r = kernels.normalize(x, torch.ones(96), 1e-6)
        back = kernels.normalize_back(dy, x, r, torch.ones(96), x)
        gradient = logits.clone()
        nats = kernels.surprise(gradient, targets, 0.1, IGNORE)
        results.append([loss, *grads.values(), norm, r, *back, gradient, nats])
    torch.set_num_threads(before)
    for one, other in itertools.pairwise(results):
        for a, b in zip(one[-6:], other[-6:], strict=True):
            assert torch.equal(a, b)
    # Of torch's own products, too, none of these shapes is added up in another order; if one is, that is torch's.
    assert farthest(dict(enumerate(results[0])), dict(enumerate(results[1]))) < 1e-5


def test_twenty_steps_are_those_of_the_plain_model():
    config, losses = tiny_config("model.n_layers=2", "model.head_dim=32"), []
    for kernel in ("written", "fused"):
        model = build_model(config, V, CPU)
        use_attention(model, kernel)
        optimizer, batch = build_optimizer(model, config.optim), random_batch(4, config.model.max_seq_len)
        losses.append([train_step(model, optimizer, batch, i, Schedule(20)).loss for i in range(20)])
    assert losses[0][-1] < 0.9 * losses[0][0]
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)


def test_a_gradient_that_is_no_number_stays_one():
    model, batch = random_model(config_of("even"), torch.bfloat16), random_batch(2, 64)
    with torch.no_grad():
        model.model.layers[0].mlp.up_proj.weight[0, 0] = float("nan")
    fuse(model)
    assert gradients(model, batch)[0].isnan()


def test_a_killed_run_goes_on_bit_for_bit(tmp_path):
    config = tiny_config("model.head_dim=32", "train.attention=fused", "train.steps=6", "train.save_every=2")
    dataset, tokenizer = tiny_dataset(tmp_path / "data")
    started = next(whole := train(config, dataset, tokenizer, tmp_path / "whole", CPU))
    assert started.attention == "fused"
    list(whole)
    for event in train(config, dataset, tokenizer, tmp_path / "halted", CPU):
        if getattr(event, "step", 0) == 3:
            break
    resumed = next(rest := train(config, dataset, tokenizer, tmp_path / "halted", CPU))
    assert (resumed.attention, resumed.differences) == ("fused", ())
    list(rest)
    weights = [(tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("whole", "halted")]
    assert weights[0] == weights[1]


def test_a_cache_or_no_documents_go_the_plain_way_and_unfusing_brings_all_back():
    model = random_model(config_of("even"))
    ids = random_batch(2, 64).ids
    with torch.no_grad():
        plain = model(ids)
        fuse(model)
        fuse(model)  # twice is once
        assert isinstance(model.forward, FusedForward)
        assert torch.equal(model(ids), plain)
        cache = model.new_cache(2, 64)
        torch.testing.assert_close(model(ids, None, cache), plain, rtol=1e-4, atol=1e-5)
        unfuse(model)
        assert kernels_of(model) is None
        assert torch.equal(model(ids), plain)


def test_what_cannot_be_fused_is_told(monkeypatch):
    def why(**changes):
        return why_not_fused(config_of("even").model_copy(update=changes), "cpu", torch.float32)

    assert why() == ""
    assert "head_dim in steps of 32" in why(head_dim=16)
    assert "attention_bias" in why(attention_bias=True)
    assert "on cuda" in why_not_fused(config_of("even"), "cuda", torch.bfloat16)
    assert "float16" in why_not_fused(config_of("even"), "cpu", torch.float16)
    monkeypatch.setattr("dozero.train.fused.open_kernels", lambda: None)
    assert "no C compiler" in why()
