"""What loss.py promises: torch's own cross-entropy, the same however a step is cut into portions."""

import math
import statistics

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from dozero.dataset.batch import IGNORE
from dozero.train.loss import SPIKE_WINDOW, next_token_loss, spike_limit


def example(B=6, T=7, V=11, padded=0.3, seed=0):
    """Logits that want a gradient, and targets of which a share is padding."""
    draw = torch.Generator().manual_seed(seed)
    logits = torch.randn(B, T, V, generator=draw, requires_grad=True)
    targets = torch.randint(V, (B, T), generator=draw)
    targets[torch.rand(B, T, generator=draw) < padded] = IGNORE
    targets[0, 0] = 1  # at least one
    return logits, targets, int((targets != IGNORE).sum())


@given(
    B=st.integers(1, 5), T=st.integers(1, 9), V=st.integers(2, 30), padded=st.floats(0, 0.9), seed=st.integers(0, 99)
)
def test_it_is_the_mean_cross_entropy_over_targets(B, T, V, padded, seed):
    logits, targets, count = example(B, T, V, padded, seed)
    reference = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORE)
    torch.testing.assert_close(next_token_loss(logits, targets, count), reference)


@pytest.mark.parametrize("cuts", [[1, 1, 1, 1, 1, 1], [2, 4], [5, 1], [6]])
def test_portions_of_a_step_sum_to_its_gradient(cuts):
    """Averaging the averages of portions would not: they hold unlike numbers of targets."""
    logits, targets, count = example()
    next_token_loss(logits, targets, count).backward()
    whole, logits.grad = logits.grad, None
    losses = [
        next_token_loss(some, wanted, count)
        for some, wanted in zip(logits.split(cuts), targets.split(cuts), strict=True)
    ]
    for loss in losses:
        loss.backward(retain_graph=True)
    torch.testing.assert_close(logits.grad, whole)
    torch.testing.assert_close(sum(losses), next_token_loss(logits, targets, count))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("at_once", [1, 11, 12, 35, 2**20])
def test_loss_and_gradient_are_those_of_cross_entropy_however_many_logits_are_taken_at_once(
    at_once, dtype, monkeypatch
):
    monkeypatch.setattr("dozero.train.loss.LOSS_AT_ONCE", at_once)
    logits, targets, count = example()
    rounded = logits.detach().to(dtype).requires_grad_()
    exact = rounded.detach().double().requires_grad_()
    reference = F.cross_entropy(exact.flatten(0, 1), targets.flatten(), ignore_index=IGNORE)
    mine = next_token_loss(rounded, targets, count)
    torch.testing.assert_close(mine.double(), reference, rtol=1e-6, atol=1e-6)
    (expected,) = torch.autograd.grad(3 * reference, exact)  # of a loss that counts three times
    (gradient,) = torch.autograd.grad(3 * mine, rounded)
    assert gradient.dtype == dtype
    torch.testing.assert_close(gradient, expected.to(dtype), rtol=2 * torch.finfo(dtype).eps, atol=1e-7)


def test_padding_adds_nothing():
    logits, targets, count = example(padded=0)
    loss = next_token_loss(logits, targets, count)
    more = torch.cat((logits, torch.full((2, 7, 11), 1e9)))
    padded = torch.cat((targets, torch.full((2, 7), IGNORE)))
    assert next_token_loss(more, padded, count) == loss
    (gradient,) = torch.autograd.grad(next_token_loss(more, padded, count), more)
    assert (gradient[6:] == 0).all()


def test_a_uniform_guess_costs_ln_V():
    targets = torch.randint(50, (3, 4), generator=torch.Generator().manual_seed(1))
    assert next_token_loss(torch.zeros(3, 4, 50), targets, 12).item() == pytest.approx(math.log(50))


def test_it_is_computed_in_float32_whatever_the_model_multiplies_in():
    logits, targets, count = example(B=64, T=64, V=50)
    rounded = logits.detach().bfloat16()
    loss = next_token_loss(rounded, targets, count)
    assert loss.dtype == torch.float32
    exact = F.cross_entropy(rounded.double().flatten(0, 1), targets.flatten(), ignore_index=IGNORE)
    assert loss.item() == pytest.approx(exact.item(), rel=1e-5)


@given(losses=st.lists(st.floats(0, 20), min_size=SPIKE_WINDOW // 2, max_size=SPIKE_WINDOW), sigma=st.floats(0.5, 10))
def test_the_limit_of_a_spike_is_that_of_the_statistics_module(losses, sigma):
    expected = statistics.fmean(losses) + sigma * statistics.stdev(losses)
    assert spike_limit(losses, sigma) == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert spike_limit(losses[: SPIKE_WINDOW // 2 - 1], sigma) == math.inf
    assert spike_limit(losses, 0.0) == math.inf
