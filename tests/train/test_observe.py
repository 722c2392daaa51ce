"""What observe.py promises: to look changes nothing, and what is seen are the norms that torch alone computes."""

import itertools
import time

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dozero.dataset.batch import Batch
from dozero.device import Device
from dozero.testing import tiny_config, tiny_dataset
from dozero.train.events import Observed
from dozero.train.learner import build_model
from dozero.train.log import read_log
from dozero.train.loop import train
from dozero.train.observe import layer_of, look_at_stream, norms_by_layer, observe_layers, snapshot, walk
from dozero.train.optim import build_optimizer
from dozero.train.step import Schedule, forget_gradients, train_step

CPU = Device("cpu", torch.float32, 1)
V, T = 13, 16
NAMES = ["embedding", "layer 0 attention", "layer 0 mlp", "layer 1 attention", "layer 1 mlp", "head"]


def make(*overrides, dtype=torch.float32):
    config = tiny_config("model.n_layers=2", *overrides)
    model = build_model(config, V, Device("cpu", dtype, 1))
    with torch.no_grad():
        for p in model.parameters():  # zero projections would make every test of them empty
            p.add_(0.1 * torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel())))
    return model, build_optimizer(model, config.optim)


def batch_of(seed, B=4):
    draw = torch.Generator().manual_seed(seed)
    ids, targets = torch.randint(V, (2, B, T), generator=draw)
    return Batch(ids, targets, torch.randint(2, (B, T), generator=draw).cumsum(1), B * T)


def observed(clip, step=3, **make_with):
    model, optimizer = make(f"optim.clip={clip}", **make_with)
    batch = batch_of(0)
    before = snapshot(optimizer)
    result = train_step(model, optimizer, batch, step, Schedule(10), keep_gradients=True)
    return model, optimizer, before, batch, result, observe_layers(model, optimizer, before, batch, result.grad_norm)


# --- looking changes nothing -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny_dataset(tmp_path_factory.mktemp("observe") / "dataset")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_run_that_looks_at_every_step_has_the_bits_of_one_that_never_looks(dtype, data, tmp_path):
    bits = []
    for every in (0, 1):
        config = tiny_config(f"train.observe_every={every}", "model.n_layers=2")
        *_, finished = train(config, *data, tmp_path / str(every), Device("cpu", dtype, 1))
        lines = [x for x in read_log(tmp_path / str(every) / "metrics.jsonl") if "layers" not in x]
        assert len(read_log(tmp_path / str(every) / "metrics.jsonl")) - len(lines) == 12 * every
        bits.append(((finished.model / "model.safetensors").read_bytes(), lines))
    assert bits[0] == bits[1]


def test_it_looks_when_due_once_early_and_at_the_end(data, tmp_path):
    config = tiny_config("train.observe_every=4", "train.steps=14")
    seen = [e for e in train(config, *data, tmp_path / "run", CPU) if isinstance(e, Observed)]
    assert [e.step for e in seen] == [4, 8, 10, 12, 14]
    lines = [x for x in read_log(tmp_path / "run" / "metrics.jsonl") if "layers" in x]
    for event, line in zip(seen, lines, strict=True):
        assert (line["step"], line["observed_lr_scale"]) == (event.step, event.lr_scale)
        assert list(line["layers"]) == [layer.name for layer in event.layers]
        assert all(line["layers"][x.name]["update_ratio"] == x.update_ratio for x in event.layers)
    timings = read_log(tmp_path / "run" / "timings.jsonl")
    assert [x["step"] for x in timings if "resident_bytes" in x] == [4, 8, 10, 12, 14]


def test_no_hook_and_no_gradient_is_left(data, tmp_path):
    model, optimizer, *_ = observed(1.0)
    assert not any(m._forward_hooks or m._backward_hooks or m._forward_pre_hooks for m in model.modules())
    forget_gradients(optimizer)
    assert all(p.grad is None for p in model.parameters())


# --- the figures -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("packed", [True, False])
def test_the_walk_ends_where_the_model_ends_to_the_bit(dtype, packed):
    model, _ = make(dtype=dtype)
    batch = batch_of(1)
    segments = batch.segments if packed else None
    with torch.no_grad():
        visits = list(walk(model, batch.ids, segments))
        assert [v.name for v in visits] == NAMES[:-1]
        logits = torch.nn.functional.linear(model.model.norm(visits[-1].stream), model.lm_head.weight.to(dtype))
        assert torch.equal(logits, model(batch.ids, segments))
    for one, next_one in itertools.pairwise(visits):
        assert torch.equal(one.stream + next_one.added, next_one.stream)


def test_norms_and_ratios_are_those_of_the_tensors():
    model, _, before, *_, facts = observed(1e9)
    assert [f.name for f in facts] == NAMES
    for layer in facts:
        params = {n: p for n, p in model.named_parameters() if layer_of(n) == layer.name}

        def norm(tensors):
            return torch.cat([t.detach().flatten() for t in tensors]).norm().item()

        assert layer.grad_norm == pytest.approx(norm(p.grad for p in params.values()), rel=1e-5)
        assert layer.weight_norm == pytest.approx(norm(params.values()), rel=1e-5)
        move = norm(p - before[n] for n, p in params.items())
        assert layer.update_ratio == pytest.approx(move / layer.weight_norm, rel=1e-4)
        assert move > 0


def test_the_norm_of_a_clipped_gradient_is_told_as_it_was_before():
    free, clipped = observed(1e9)[-1], observed(0.01)[-1]
    assert [f.grad_norm for f in clipped] == pytest.approx([f.grad_norm for f in free], rel=1e-4)
    result = observed(0.01)[-2]
    assert sum(f.grad_norm**2 for f in clipped) ** 0.5 == pytest.approx(result.grad_norm, rel=1e-4)


@given(seed=st.integers(0, 99), factor=st.floats(0.1, 10))
def test_norms_by_layer_add_up_and_grow_with_the_tensors(seed, factor):
    model, _ = make()
    draw = torch.Generator().manual_seed(seed)
    tensors = {n: torch.randn(p.shape, generator=draw) for n, p in model.named_parameters()}
    norms = norms_by_layer(tensors)
    whole = torch.cat([t.flatten() for t in tensors.values()]).norm().item()
    assert sum(n**2 for n in norms.values()) ** 0.5 == pytest.approx(whole, rel=1e-5)
    larger = norms_by_layer({n: t * factor for n, t in tensors.items()})
    assert larger == pytest.approx({n: v * factor for n, v in norms.items()}, rel=1e-4)


def test_tied_weights_belong_to_the_embedding_and_every_parameter_to_one_layer():
    model, _ = make("model.tie_embeddings=true")
    layers = {layer_of(name) for name, _ in model.named_parameters()}
    assert layers == set(NAMES)


def test_a_layer_that_adds_nothing_and_units_that_never_fire_are_seen():
    model, _ = make()
    with torch.no_grad():
        model.model.layers[1].mlp.down_proj.weight.zero_()
        model.model.layers[0].mlp.up_proj.weight[:8].zero_()
    facts = look_at_stream(model, batch_of(2))
    assert facts["layer 1 mlp"]["added_rms"] == 0
    assert facts["layer 0 mlp"]["dead_units"] == 8 / model.config.d_ff
    assert facts["layer 1 mlp"]["stream_rms"] == facts["layer 1 attention"]["stream_rms"]
    assert facts["layer 1 attention"]["added_rms"] > 0
    assert all(f["stream_max"] >= f["stream_rms"] for f in facts.values())


def test_a_look_costs_a_fraction_of_a_step(data):
    """On a model of a few hundred thousand parameters; the bound on a whole run at the default follows from it."""
    model, optimizer = make("model.d_model=128", "model.n_heads=4", "model.d_ff=384", "model.head_dim=32")
    batch, steps, looks = batch_of(0, B=128), [], []
    for step in range(8):
        began = time.process_time()
        train_step(model, optimizer, batch, step, Schedule(100), keep_gradients=True)
        stepped = time.process_time()
        observe_layers(model, optimizer, snapshot(optimizer), batch, 1.0)
        looks.append(time.process_time() - stepped)
        steps.append(stepped - began)
        forget_gradients(optimizer)
    assert min(looks) < min(steps), "so that one look in 50 steps is less than 2% of training"
