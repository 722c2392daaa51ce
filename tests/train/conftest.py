"""A process group of this one process, so that what a team says to itself can be tested without starting another; and torch's
Muon, made to divide by our norm.
"""

import functools

import pytest
import torch
import torch.distributed as dist

from dozero.model.cost import MUON_ROUNDS


@pytest.fixture
def lone_group():
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def fourth_norm(matrix):
    """The fourth root of the sum of the fourth powers of the singular values: what we divide by."""
    return torch.linalg.vector_norm(torch.linalg.svdvals(matrix.float()), ord=4).to(matrix.dtype)


@pytest.fixture
def torchs_muon(monkeypatch):
    """torch.optim.Muon, of as many rounds as ours, from matrices divided by our norm instead of its own."""
    from torch.optim import _muon

    rounds = _muon._zeropower_via_newtonschulz

    def begin_as_we_do(*args):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.Tensor, "norm", fourth_norm)
            return rounds(*args)

    monkeypatch.setattr(_muon, "_zeropower_via_newtonschulz", begin_as_we_do)
    return functools.partial(torch.optim.Muon, ns_steps=MUON_ROUNDS)
