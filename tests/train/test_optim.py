"""What optim.py promises: Muon and AdamW as torch computes them, and a learning rate that rises, holds and falls to 0.

torch.optim.Muon runs its Newton-Schulz rounds in bfloat16 (three significant digits), ours in float32 or in the dtype of
the model: hence one comparison at bfloat16's tolerance, and one with torch's rounds made to stay in float32. And it begins
with matrices divided by another norm, so it is given ours and as many rounds.
"""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn

from dozero.model.cost import MUON_ROUNDS
from dozero.model.initialize import initialize
from dozero.model.transformer import Transformer
from dozero.settings import OptimConfig
from dozero.testing import tiny_config
from dozero.train.optim import (
    NEWTON_SCHULZ,
    adam_update,
    build_optimizer,
    lr_scale,
    muon_update,
    orthogonalize,
    update,
)

SHAPES = {"square": (24, 24), "wide": (16, 48), "tall": (48, 16), "very tall": (64, 4)}
LARGE = {"large": (300, 310), "large, wide": (257, 600), "large, tall": (700, 300)}
"""Of which half a symmetric product is computed; of long rows all rounds at once."""


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def relative_error(ours, theirs):
    return float((ours - theirs).norm() / theirs.norm())


def tiny_model(*overrides):
    model = Transformer(tiny_config("model.n_layers=2", *overrides).model, vocab_size=13)
    initialize(model, torch.Generator().manual_seed(0))
    with torch.no_grad():
        for p in model.parameters():  # some start at zero or one, which would hide mistakes
            p.add_(0.1 * random(*p.shape, seed=p.numel()))
    return model


# --- Muon ----------------------------------------------------------------------------------------------------------


@pytest.fixture(params=[torch.float32, torch.bfloat16], ids=str)
def rounding(request, monkeypatch):
    """The dtype of the Newton-Schulz rounds, and how near results then are. torch's are made to stay in float32 too."""
    if request.param == torch.bfloat16:
        return request.param, 0.05  # three roundings to three digits a round; measured: up to 0.03
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)
    return request.param, 1e-5


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_muon_is_torchs(shape, weight_decay, rounding, torchs_muon):
    lr, momentum, (dtype, close) = 0.05, 0.9, rounding
    config = OptimConfig(muon_lr=lr, momentum=momentum, weight_decay=weight_decay)
    start = random(*shape, seed=99)
    ours, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    reference = torchs_muon([theirs], lr=lr, weight_decay=weight_decay, momentum=momentum, nesterov=True)
    buffer = torch.zeros(1, *shape)
    for step in range(8):
        ours.grad = random(*shape, seed=step)
        theirs.grad = ours.grad.clone()
        with torch.no_grad():
            muon_update([ours], buffer, config, lr, dtype)
        reference.step()
        assert relative_error(ours.detach() - start, theirs.detach() - start) < close, f"step {step}"
    torch.testing.assert_close(buffer[0], reference.state[theirs]["momentum_buffer"])


def exact_rounds(g):
    """The rounds on the singular values alone, in float64: they leave the singular vectors as they are."""
    u, s, vh = torch.linalg.svd(g.double(), full_matrices=False)
    s = s / torch.linalg.vector_norm(s, ord=4, dim=-1, keepdim=True)
    a, b, c = NEWTON_SCHULZ
    for _ in range(MUON_ROUNDS):
        s = a * s + b * s**3 + c * s**5
    return (u * s[..., None, :]) @ vh, s


@pytest.mark.parametrize("shape", (SHAPES | LARGE).values(), ids=(SHAPES | LARGE).keys())
def test_orthogonalize_keeps_singular_vectors_and_levels_singular_values(shape):
    g = random(3, *shape)
    expected, values = exact_rounds(g)
    torch.testing.assert_close(orthogonalize(g).double(), expected, rtol=1e-3, atol=1e-4)
    assert values.max() < 1.25
    assert values.min() > 0.6 or shape[1] - shape[0] in (0, 10), (
        "those of a square matrix may be too near 0 for three rounds"
    )


def test_the_coefficients_are_those_of_torch():
    from torch.optim import _muon

    assert NEWTON_SCHULZ == (_muon.DEFAULT_A, _muon.DEFAULT_B, _muon.DEFAULT_C)


@pytest.mark.parametrize("shape", [(16, 48), (64, 200), (128, 352)])
def test_fewer_rounds_level_singular_values_as_those_of_torch_do(shape, monkeypatch):
    from torch.optim import _muon

    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)
    g, told = random(*shape), (NEWTON_SCHULZ, _muon.DEFAULT_NS_STEPS, 1e-7)
    theirs = torch.linalg.svdvals(_muon._zeropower_via_newtonschulz(g, *told))
    ours = torch.linalg.svdvals(orthogonalize(g[None])[0])
    assert MUON_ROUNDS < _muon.DEFAULT_NS_STEPS
    assert ours.min() > 0.95 * theirs.min()
    assert ours.max() < 1.05 * theirs.max()


@given(scale=st.floats(1e-3, 1e3), rows=st.integers(1, 9), cols=st.integers(1, 9))
def test_the_size_of_a_gradient_does_not_count(scale, rows, cols):
    g = random(1, rows, cols, seed=rows * 10 + cols)
    torch.testing.assert_close(orthogonalize(scale * g), orthogonalize(g), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(orthogonalize(g.mT), orthogonalize(g).mT, rtol=1e-3, atol=1e-3)


def test_each_matrix_of_a_stack_goes_its_own_way():
    g = random(5, 8, 12)
    g[3] = 0
    together = orthogonalize(g)
    for i in range(5):
        torch.testing.assert_close(together[i : i + 1], orthogonalize(g[i : i + 1]))
    assert (together[3] == 0).all(), "no gradient, no direction"


# --- AdamW ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize(("beta1", "beta2", "eps"), [(0.9, 0.95, 1e-8), (0.5, 0.999, 1e-3), (0.0, 0.0, 1e-8)])
def test_adamw_is_torchs_and_only_matrices_decay(beta1, beta2, eps, weight_decay):
    lr, steps = 0.02, 20
    config = OptimConfig(adam_lr=lr, beta1=beta1, beta2=beta2, eps=eps, weight_decay=weight_decay)
    shapes = [(7, 5), (5,), (3, 4, 2), (1,)]
    ours = [nn.Parameter(random(*shape, seed=i)) for i, shape in enumerate(shapes)]
    theirs = [nn.Parameter(p.detach().clone()) for p in ours]
    reference = torch.optim.AdamW(
        [
            {"params": [p for p in theirs if p.ndim >= 2], "weight_decay": weight_decay},
            {"params": [p for p in theirs if p.ndim < 2], "weight_decay": 0.0},
        ],
        lr=lr, betas=(beta1, beta2), eps=eps,
    )  # fmt: skip
    mean, square = torch.zeros(2, sum(p.numel() for p in ours))
    for step in range(steps):
        for i, (p, q) in enumerate(zip(ours, theirs, strict=True)):
            p.grad = random(*p.shape, seed=100 * step + i) * 10.0 ** (i - 2)
            q.grad = p.grad.clone()
        with torch.no_grad():
            adam_update(ours, mean, square, config, lr, step + 1)
        reference.step()
    for p, q in zip(ours, theirs, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-6)


# --- the two together ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tied", ["true", "false"])
def test_every_parameter_is_moved_by_just_one_rule(tied):
    model = tiny_model(f"model.tie_embeddings={tied}")
    optimizer = build_optimizer(model, OptimConfig())
    muon = list(itertools.chain(*optimizer.stacks))
    names = [name for name, _ in model.named_parameters()]
    assert sorted(muon + optimizer.adam) == sorted(names)
    assert all(optimizer.params[name].ndim == 2 and ".layers." in name for name in muon)
    assert "model.embed_tokens.weight" in optimizer.adam
    assert ("lm_head.weight" in optimizer.adam) == (tied == "false")
    for names_of_stack in optimizer.stacks:
        assert len({optimizer.params[name].shape for name in names_of_stack}) == 1


def test_state_starts_at_zero_and_is_as_large_as_what_it_follows():
    model = tiny_model()
    optimizer = build_optimizer(model, OptimConfig())
    assert all((tensor == 0).all() and tensor.dtype == torch.float32 for tensor in optimizer.state.values())
    in_stacks = sum(optimizer.params[name].numel() for stack in optimizer.stacks for name in stack)
    by_adam = sum(optimizer.params[name].numel() for name in optimizer.adam)
    assert sum(t.numel() for t in optimizer.state.values()) == in_stacks + 2 * by_adam


def test_a_whole_model_moves_as_under_torchs_two_optimizers_and_scheduler(rounding, torchs_muon):
    dtype, close = rounding
    config = OptimConfig(muon_lr=0.02, adam_lr=0.01, weight_decay=0.1)
    model, twin = tiny_model(), tiny_model()
    optimizer = build_optimizer(model, config, dtype)
    theirs = dict(twin.named_parameters())
    matrices = [p for n, p in theirs.items() if ".layers." in n and p.ndim == 2]
    muon = torchs_muon(matrices, lr=0.02, weight_decay=0.1, momentum=config.momentum)
    rest = [p for p in theirs.values() if not any(p is m for m in matrices)]
    adamw = torch.optim.AdamW(
        [{"params": [p for p in rest if p.ndim >= 2], "weight_decay": 0.1},
         {"params": [p for p in rest if p.ndim < 2], "weight_decay": 0.0}],
        lr=0.01, betas=(config.beta1, config.beta2), eps=config.eps,
    )  # fmt: skip
    steps = 10

    def scale(step):
        return lr_scale((step + 0.5) / steps, config.warmup, config.decay)

    schedulers = [torch.optim.lr_scheduler.LambdaLR(o, scale) for o in (muon, adamw)]
    start = {name: p.detach().clone() for name, p in theirs.items()}
    for step in range(steps):
        for i, (name, p) in enumerate(optimizer.params.items()):
            p.grad = random(*p.shape, seed=1000 * step + i)
            theirs[name].grad = p.grad.clone()
        update(optimizer, step, scale(step))
        for o in (muon, adamw, *schedulers):
            o.step()
    for name, p in optimizer.params.items():
        moved = theirs[name].detach() - start[name]
        is_matrix = any(theirs[name] is m for m in matrices)
        assert relative_error(p.detach() - start[name], moved) < (close if is_matrix else 1e-5), name


def test_rate_zero_moves_nothing_but_remembers_the_gradient():
    model = tiny_model()
    optimizer = build_optimizer(model, OptimConfig(weight_decay=0.5))
    before = {name: p.detach().clone() for name, p in optimizer.params.items()}
    for p in optimizer.params.values():
        p.grad = torch.ones_like(p)
    update(optimizer, 0, 0.0)
    assert all(torch.equal(before[name], p) for name, p in optimizer.params.items())
    assert all((tensor != 0).all() for tensor in optimizer.state.values())


def test_update_before_backward_is_our_mistake():
    with pytest.raises(AssertionError, match="update before backward"):
        update(build_optimizer(tiny_model(), OptimConfig()), 0, 1.0)


# --- schedule of the rate ------------------------------------------------------------------------------------------

PHASES = st.tuples(st.floats(0, 0.99), st.floats(0, 1)).filter(lambda phases: sum(phases) <= 1)
SHARES = st.floats(0, 1)


@given(progress=SHARES, phases=PHASES)
def test_the_rate_is_a_trapezium(progress, phases):
    warmup, decay = phases
    assume(warmup > 1e-6 and decay > 1e-6)  # numpy wants increasing corners
    drawn = np.interp(progress, [0, warmup, max(warmup, 1 - decay), 1], [0, 1, 1, 0])
    assert lr_scale(progress, warmup, decay) == pytest.approx(drawn, abs=1e-6)


@given(progress=st.floats(-0.5, 1.5), phases=PHASES)
def test_the_rate_stays_between_0_and_1(progress, phases):
    assert 0 <= lr_scale(progress, *phases) <= 1


@given(a=SHARES, b=SHARES, phases=PHASES)
def test_the_rate_makes_no_jump(a, b, phases):
    warmup, decay = phases
    assume(warmup > 1e-3 and decay > 1e-3)
    steepest = max(1 / warmup, 1 / decay)
    assert abs(lr_scale(a, *phases) - lr_scale(b, *phases)) <= steepest * abs(a - b) + 1e-9


@given(a=SHARES, b=SHARES, phases=PHASES)
def test_the_rate_rises_then_holds_then_falls(a, b, phases):
    warmup, decay = phases
    low, high = sorted((a, b))
    if high <= warmup:
        assert lr_scale(low, *phases) <= lr_scale(high, *phases)
    if low >= 1 - decay:
        assert lr_scale(low, *phases) >= lr_scale(high, *phases)
    if warmup <= a <= 1 - decay:
        assert lr_scale(a, *phases) == pytest.approx(1, abs=1e-9)


@given(phases=PHASES)
def test_the_rate_starts_and_ends_where_it_is_told(phases):
    warmup, decay = phases
    assert lr_scale(0.0, *phases) == (0 if warmup else 1)
    assert lr_scale(1.0, *phases) == (0 if decay else 1)
    assert math.isfinite(lr_scale(0.5, *phases))
