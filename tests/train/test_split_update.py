"""What split_update.py promises: the update of optim.py, the work shared out. In several processes: in_team.py."""

import pytest
import torch

from dozero.device import Device
from dozero.testing import tiny_config
from dozero.train.fused import open_kernels
from dozero.train.learner import build_model
from dozero.train.optim import build_optimizer, orthogonalize, update
from dozero.train.split_update import gradients_of, share_directions, update_by_turns
from dozero.train.team import Team

CPU = Device("cpu", torch.float32, 1)


def learners(*settings):
    """Two equal models, each with its optimizer."""
    config = tiny_config("model.n_layers=2", *settings)
    models = [build_model(config, 13, CPU) for _ in range(2)]
    return [(model, build_optimizer(model, config.optim)) for model in models]


def draw_gradients(models, seed):
    draw = torch.Generator().manual_seed(seed)
    for p, q in zip(*(model.parameters() for model in models), strict=True):
        p.grad = torch.randn(p.shape, generator=draw)
        q.grad = p.grad.clone()


@pytest.mark.usefixtures("lone_group")
@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("kernels", [None, open_kernels()], ids=["plain", "fused, where it can be"])
def test_updates_are_those_of_the_optimizer(decay, kernels):
    (model, optimizer), (twin, twin_optimizer) = learners(f"optim.weight_decay={decay}")
    for step in range(4):
        draw_gradients((model, twin), step)
        update(optimizer, step, 0.7, kernels)
        update_by_turns(Team(), twin_optimizer, step, 0.7, kernels)
    for (name, p), q in zip(model.named_parameters(), twin.parameters(), strict=True):
        assert torch.equal(p, q), name
    assert all(torch.equal(t, twin_optimizer.state[name]) for name, t in optimizer.state.items())


@pytest.mark.usefixtures("lone_group")
def test_directions_are_the_orthogonalised_matrices():
    g = torch.randn(5, 4, 6, generator=torch.Generator().manual_seed(0))
    more = g[:2].transpose(1, 2)
    for ours, alone in zip(share_directions(Team(), [g, more]), (g, more), strict=True):
        assert torch.equal(ours, orthogonalize(alone))
    assert share_directions(Team(), []) == []


def test_a_missing_gradient_is_our_mistake():
    with pytest.raises(AssertionError, match="update before backward"):
        gradients_of([torch.nn.Parameter(torch.ones(2))])
