"""What follow.py promises: whatever the leader orders is done, until it says stop. Whole runs: test_parallel.py."""

import math

import pytest
import torch
import torch.distributed as dist

from dozero.device import Device
from dozero.errors import ConfigError
from dozero.testing import WORDS, tiny_config, tiny_dataset
from dozero.train.attention import attention_of
from dozero.train.follow import follow
from dozero.train.learner import build_learner
from dozero.train.parallel import take_state
from dozero.train.step import Schedule
from dozero.train.team import Order, Team

CPU = Device("cpu", torch.float32, 1)


@pytest.fixture
def orders(monkeypatch):
    """What a leader would broadcast: one tensor after the other."""
    script = []

    def broadcast(tensor, src):
        assert src == 0
        if script:
            tensor.copy_(script.pop(0))

    monkeypatch.setattr(dist, "broadcast", broadcast)
    return script


def order(which, step=0):
    schedule = Schedule(12)
    return torch.tensor(
        [which, step, schedule.total_steps, schedule.from_step, 0.0, step, math.inf], dtype=torch.float64
    )


def test_the_follower_goes_home_when_told(orders, tmp_path):
    dataset, _ = tiny_dataset(tmp_path / "dataset", WORDS)
    orders += [order(Order.STOP), order(Order.STEP)]
    follow(tiny_config(), dataset, CPU, Team(rank=1, size=2))
    assert len(orders) == 1, "what comes after stop is not heard"


def test_attention_is_computed_as_the_leader_does(orders):
    model, optimizer = build_learner(tiny_config(), 13, CPU, Team(rank=1, size=2))
    before = [p.clone() for p in model.parameters()]
    orders += [torch.tensor([7]), torch.tensor(list(b"library"), dtype=torch.uint8), before[0] + 1]
    take_state(Team(rank=1, size=2), model, optimizer)
    assert attention_of(model) == "library"
    assert torch.equal(next(model.parameters()), before[0] + 1), "then come its weights"


def test_a_step_that_cannot_be_shared_out_is_refused_before_any_order(orders, tmp_path):
    dataset, _ = tiny_dataset(tmp_path / "dataset", WORDS)
    with pytest.raises(ConfigError, match="cannot be shared out"):
        follow(tiny_config(), dataset, CPU, Team(rank=1, size=5))
    assert orders == []
