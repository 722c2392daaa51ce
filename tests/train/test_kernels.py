"""kernels.py against torch: the loss and the updates, as train/loss.py and train/optim.py compute with them."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dozero.dataset.batch import IGNORE
from dozero.settings import OptimConfig
from dozero.train.kernels import open_kernels
from dozero.train.loss import next_token_loss
from dozero.train.optim import adam_update, muon_update, orthogonalize

KERNELS = open_kernels()
pytestmark = pytest.mark.skipif(KERNELS is None, reason="no C compiler")
needs_pairs = pytest.mark.skipif(
    KERNELS is None or not KERNELS.multiplies_pairs, reason="this CPU does not multiply bfloat16 in twos"
)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("size", [2, 15, 16, 17, 97, 2048])
def test_the_loss_is_cross_entropy_and_leaves_its_gradient(size, dtype):
    draw = torch.Generator().manual_seed(size)
    logits = (4 * torch.randn(3, 40, size, generator=draw)).to(dtype)
    targets = torch.randint(size, (3, 40), generator=draw)
    targets[1, 3:9] = IGNORE
    exact = logits.double().requires_grad_()
    reference = F.cross_entropy(exact.flatten(0, 1), targets.flatten(), ignore_index=IGNORE)
    (expected,) = torch.autograd.grad(3 * reference, exact)
    mine = logits.clone().requires_grad_()
    loss = next_token_loss(mine.clone(), targets, int((targets != IGNORE).sum()), open_kernels())
    (gradient,) = torch.autograd.grad(3 * loss, mine)
    torch.testing.assert_close(loss.double(), reference, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(gradient.double(), expected, rtol=2 * torch.finfo(dtype).eps, atol=2e-7)


def test_extreme_logits_and_those_that_are_no_numbers():
    kernels = open_kernels()
    logits, targets = torch.zeros(3, 20), torch.tensor([4, 5, 6])
    logits[0, 4], logits[1, 7] = 1e4, 1e4
    logits[2, 0] = float("nan")
    nats = [kernels.surprise(logits[i : i + 1].clone(), targets[i : i + 1], 1.0, IGNORE) for i in range(3)]
    assert nats[0] == 0
    assert nats[1] == 1e4
    assert nats[2].isnan()


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_adamw_is_torchs(weight_decay):
    config = OptimConfig(adam_lr=0.02, beta1=0.9, beta2=0.95, eps=1e-8, weight_decay=weight_decay)
    draw = torch.Generator().manual_seed(0)
    ours = [nn.Parameter(torch.randn(*shape, generator=draw)) for shape in ((70, 90), (5,), (1,))]
    theirs = [nn.Parameter(p.detach().clone()) for p in ours]
    groups = [{"params": theirs[:1], "weight_decay": weight_decay}, {"params": theirs[1:], "weight_decay": 0.0}]
    reference = torch.optim.AdamW(groups, lr=0.02, betas=(0.9, 0.95), eps=1e-8)
    mean, square = torch.zeros(2, sum(p.numel() for p in ours))
    for step in range(20):
        for p, q in zip(ours, theirs, strict=True):
            p.grad = torch.randn(*p.shape, generator=draw)
            q.grad = p.grad.clone()
        with torch.no_grad():
            adam_update(ours, mean, square, config, 0.02, step + 1, open_kernels())
        reference.step()
    for p, q in zip(ours, theirs, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(24, 40), (41, 23)], ids=["wide", "tall"])
def test_muon_moves_as_it_does_in_torch(shape, dtype):
    config, draw = OptimConfig(weight_decay=0.1), torch.Generator().manual_seed(0)
    pairs = [[nn.Parameter(torch.randn(*shape, generator=draw)) for _ in range(3)]]
    pairs.append([nn.Parameter(p.detach().clone()) for p in pairs[0]])
    momenta = torch.zeros(2, 3, *shape)
    for _ in range(5):
        for p, q in zip(*pairs, strict=True):
            p.grad = torch.randn(*shape, generator=draw)
            q.grad = p.grad.clone()
        with torch.no_grad():
            muon_update(pairs[0], momenta[0], config, 0.02, dtype)
            muon_update(pairs[1], momenta[1], config, 0.02, dtype, open_kernels())
    torch.testing.assert_close(momenta[0], momenta[1], rtol=1e-5, atol=1e-6)
    near = 1e-5 if dtype == torch.float32 else 1e-2
    for p, q in zip(*pairs, strict=True):
        torch.testing.assert_close(p, q, rtol=near, atol=near)


@needs_pairs
@settings(max_examples=40, deadline=None)
@given(rows=st.integers(1, 150), columns=st.integers(1, 150), count=st.integers(1, 3), seed=st.integers(0, 99))
def test_orthogonal_matrices_are_as_near_to_the_exact_ones_as_those_of_torch(rows, columns, count, seed):
    draw = torch.Generator().manual_seed(seed)
    g = torch.randn(count, rows, columns, generator=draw) * torch.rand(count, 1, 1, generator=draw).exp()
    g = g.to(torch.bfloat16)
    exact, theirs = orthogonalize(g.double()), orthogonalize(g)
    ours = orthogonalize(g, KERNELS)
    norms = exact.norm(dim=(1, 2))
    errors = [(made.double() - exact).norm(dim=(1, 2)) / norms for made in (ours, theirs)]
    assert (errors[0] < 1.3 * errors[1] + 0.03).all()  # a matrix of one number is rounded twenty times


@needs_pairs
def test_threads_and_other_matrices_change_no_bit_of_an_orthogonal_one():
    before, draw = torch.get_num_threads(), torch.Generator().manual_seed(0)
    g = torch.randn(5, 100, 70, generator=draw).to(torch.bfloat16)
    together = orthogonalize(g, KERNELS)
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        for i in range(5):
            assert torch.equal(orthogonalize(g[i : i + 1], KERNELS)[0], together[i])
    torch.set_num_threads(before)


@needs_pairs
def test_matrices_that_are_zero_stay_so_and_those_that_are_no_numbers_too():
    g = torch.zeros(2, 40, 50, dtype=torch.bfloat16)
    g[1, 3, 3] = float("nan")
    zero, nothing = orthogonalize(g, KERNELS)
    assert not zero.any()
    assert nothing.isnan().any()
