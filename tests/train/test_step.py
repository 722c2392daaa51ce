"""What step.py promises: one update like that of a loop written with torch alone, or none at all."""

import hashlib
import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn

from dozero.dataset.batch import IGNORE, Batch
from dozero.device import Device
from dozero.errors import DivergedError
from dozero.testing import tiny_config
from dozero.train.learner import build_model
from dozero.train.optim import build_optimizer, lr_scale
from dozero.train.step import Schedule, add_gradients, forget_gradients, train_step

CPU = Device("cpu", torch.float32, 1)
V, T = 13, 16


def make(*overrides):
    config = tiny_config("model.n_layers=2", *overrides)
    model = build_model(config, V, CPU)
    return model, build_optimizer(model, config.optim)


def batch_of(seed, B=4):
    draw = torch.Generator().manual_seed(seed)
    ids = torch.randint(V, (B, T), generator=draw)
    targets = torch.randint(V, (B, T), generator=draw)
    targets[0, T // 2 :] = IGNORE
    segments = torch.randint(2, (B, T), generator=draw).cumsum(1)
    return Batch(ids, targets, segments, int((targets != IGNORE).sum()))


def digest(model, optimizer):
    """A hash of every weight and every number of the optimizer's state."""
    total = hashlib.sha256()
    for name, tensor in [*model.state_dict().items(), *optimizer.state.items()]:
        total.update(name.encode() + tensor.numpy().tobytes())
    return total.hexdigest()


# --- against torch alone -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("clip", [1e9, 0.5])
def test_steps_are_those_of_a_loop_written_with_torch_alone(clip, monkeypatch, torchs_muon):
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)  # torch's Muon stays in float32, like ours here
    settings = (f"optim.clip={clip}", "optim.weight_decay=0.1")
    (model, optimizer), (twin, _) = make(*settings), make(*settings)
    config, steps, schedule = optimizer.config, 12, Schedule(12)
    params = dict(twin.named_parameters())
    matrices = [p for n, p in params.items() if ".layers." in n and p.ndim == 2]
    rest = [p for p in params.values() if not any(p is m for m in matrices)]
    muon = torchs_muon(matrices, lr=config.muon_lr, weight_decay=0.1, momentum=config.momentum)
    adamw = torch.optim.AdamW(
        [{"params": [p for p in rest if p.ndim >= 2], "weight_decay": 0.1},
         {"params": [p for p in rest if p.ndim < 2], "weight_decay": 0.0}],
        lr=config.adam_lr, betas=(config.beta1, config.beta2), eps=config.eps,
    )  # fmt: skip
    halfway = [lambda step: lr_scale((step + 0.5) / steps, config.warmup, config.decay)] * 2
    schedulers = [torch.optim.lr_scheduler.LambdaLR(o, f) for o, f in zip((muon, adamw), halfway, strict=True)]
    for step in range(steps):
        batch = batch_of(step)
        result = train_step(model, optimizer, batch, step, schedule)
        logits = twin(batch.ids, batch.segments)
        loss = F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), ignore_index=IGNORE)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(twin.parameters(), clip)
        for o in (muon, adamw, *schedulers):
            o.step()
        twin.zero_grad()
        assert result.loss == pytest.approx(loss.item(), rel=1e-4)
        assert result.grad_norm == pytest.approx(norm.item(), rel=1e-3), "the norm before it is clipped"
        assert result.lr_scale == halfway[0](step)


def test_the_same_batch_again_and_again_is_learnt():
    model, optimizer = make()
    losses = [train_step(model, optimizer, batch_of(0), step, Schedule(60)).loss for step in range(60)]
    assert losses[0] == pytest.approx(math.log(V), rel=1e-3), "at first, a uniform guess"
    assert losses[-1] < 0.5 * losses[0]


def test_a_step_leaves_no_gradient_behind():
    model, optimizer = make()
    train_step(model, optimizer, batch_of(0), 0, Schedule(5))
    assert all(p.grad is None for p in model.parameters())


def shaken_model():
    """A model past its zero-initialised projections, so that every weight has a gradient."""
    model, _ = make()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.05)
    return model


@pytest.mark.parametrize("rows_at_once", [1, 2, 3, 4, 9])
def test_portions_make_loss_and_gradient_of_the_whole_step(rows_at_once):
    model, batch = shaken_model(), batch_of(3)
    loss = add_gradients(model, batch)
    whole = [p.grad for p in model.parameters()]
    model.zero_grad(set_to_none=True)
    assert add_gradients(model, batch, rows_at_once).item() == pytest.approx(loss.item(), rel=1e-6)
    for p, gradient in zip(model.parameters(), whole, strict=True):
        torch.testing.assert_close(p.grad, gradient, rtol=1e-4, atol=1e-6)


def test_a_step_in_portions_computes_no_more_rows_at_once():
    model, optimizer = make()
    seen = []
    model.register_forward_pre_hook(lambda module, inputs: seen.append(len(inputs[0])))
    train_step(model, optimizer, batch_of(0), 0, Schedule(5), rows_at_once=3)
    assert seen == [3, 1]


def test_twenty_steps_in_portions_are_those_of_whole_steps():
    (model, optimizer), (twin, twin_optimizer) = make(), make()
    for step in range(20):
        whole = train_step(model, optimizer, batch_of(step), step, Schedule(20))
        parts = train_step(twin, twin_optimizer, batch_of(step), step, Schedule(20), rows_at_once=1)
        assert parts.loss == pytest.approx(whole.loss, rel=1e-4)
        assert parts.grad_norm == pytest.approx(whole.grad_norm, rel=1e-3)


def test_forgotten_gradients_are_gone():
    model, optimizer = make()
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    forget_gradients(optimizer)
    assert all(p.grad is None for p in model.parameters())


# --- not finite ----------------------------------------------------------------------------------------------------


def poison_a_weight(model):
    model.model.norm.weight.data[0] = math.nan


def overflow_the_loss(model):
    model.lm_head.weight.data.fill_(1e38)
    model.lm_head.weight.data[::2].neg_()


def poison_the_gradient_alone(model):
    """Of the zero vector the norm is finite; its gradient goes with 1/norm³, which is not."""
    model.model.embed_tokens.weight.data.zero_()
    model.lm_head.weight.data.fill_(0.1)


@pytest.mark.parametrize(
    "poison", [poison_a_weight, overflow_the_loss, poison_the_gradient_alone], ids=lambda f: f.__name__
)
def test_what_is_not_finite_stops_before_the_update(poison):
    model, optimizer = make("model.norm_eps=1e-38", "optim.weight_decay=0.1")
    for step in range(3):
        train_step(model, optimizer, batch_of(step), step, Schedule(10))
    poison(model)
    before = digest(model, optimizer)
    with pytest.raises(DivergedError) as caught:
        train_step(model, optimizer, batch_of(3), 3, Schedule(10))
    assert digest(model, optimizer) == before, "weights and state are as they were"
    assert all(p.grad is None for p in model.parameters())
    assert caught.value.where == "step 3"
    loss_is_finite = "loss nan" not in caught.value.got and "loss inf" not in caught.value.got
    assert loss_is_finite == (poison is poison_the_gradient_alone), caught.value.got


def test_a_run_that_diverged_is_told_to_go_slower():
    model, optimizer = make("optim.muon_lr=0.5", "optim.adam_lr=0.25")
    poison_a_weight(model)
    with pytest.raises(DivergedError, match=r"optim\.muon_lr=0\.25 optim\.adam_lr=0\.125"):
        train_step(model, optimizer, batch_of(0), 0, Schedule(10))


# --- schedule ------------------------------------------------------------------------------------------------------


@given(total=st.integers(1, 10_000), step=st.integers(0, 10_000))
def test_progress_is_the_share_of_steps_done(total, step):
    assert Schedule(total).progress(step) == step / total


@given(
    total=st.integers(2, 2000),
    moves=st.lists(st.tuples(st.floats(0.01, 0.99), st.integers(1, 3000)), max_size=6),
)
def test_moving_the_end_makes_no_jump_and_still_ends_at_one(total, moves):
    schedule, step = Schedule(total), 0
    for share, left in moves:
        at = step + int(share * (schedule.total_steps - step))
        assume(step < at < schedule.total_steps)
        step, old = at, schedule
        schedule = old.replan(step, step + left)
        assert schedule.progress(step) == pytest.approx(old.progress(step), abs=1e-12)
        assert schedule.progress(schedule.total_steps) == pytest.approx(1.0, abs=1e-12)
        rates = [lr_scale(s.progress(step), 0.1, 0.5) for s in (old, schedule)]
        assert rates[0] == pytest.approx(rates[1], abs=1e-9)
    later = [schedule.progress(s) for s in range(step, schedule.total_steps + 1)]
    assert later == sorted(later)
    assert all(0 <= progress <= 1 + 1e-12 for progress in later)


def test_neither_the_first_nor_the_last_step_is_wasted_on_rate_0():
    model, optimizer = make()
    rates = [train_step(model, optimizer, batch_of(step), step, Schedule(8)).lr_scale for step in range(8)]
    assert min(rates) > 0


# --- a jump --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_a_loss_above_the_limit_stops_before_the_update(weight_decay):
    model, optimizer = make(f"optim.weight_decay={weight_decay}")
    losses = [train_step(model, optimizer, batch_of(step), step, Schedule(10)).loss for step in range(3)]
    before = digest(model, optimizer)
    with pytest.raises(DivergedError, match="the loss jumped") as caught:
        train_step(model, optimizer, batch_of(3), 3, Schedule(10), min(losses) / 100)
    assert digest(model, optimizer) == before, "weights and state are as they were"
    assert all(p.grad is None for p in model.parameters())
    assert caught.value.where == "step 3"
    train_step(model, optimizer, batch_of(3), 3, Schedule(10), 100.0)
    assert digest(model, optimizer) != before
