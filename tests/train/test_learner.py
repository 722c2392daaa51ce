"""What learner.py promises: a model that follows from the seed, and both model and optimizer as the settings want them."""

import functools

import pytest
import torch

from dozero.device import Device
from dozero.errors import ConfigError
from dozero.testing import tiny_config
from dozero.train.learner import build_learner, build_model
from dozero.train.team import Team

CPU = Device("cpu", torch.float32, 1)
V = 13


def test_the_weights_follow_from_the_seed():
    one, same, other = (build_model(tiny_config(f"seed={seed}"), V, CPU).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_alone_or_in_a_team_of_one_every_process_holds_all():
    for team in (None, Team(), Team(slots=4), Team(shard=True)):
        model, optimizer = build_learner(tiny_config(), V, CPU, team)
        reference = build_model(tiny_config(), V, CPU)
        for (name, p), q in zip(model.named_parameters(), reference.parameters(), strict=True):
            assert torch.equal(p, q)
            assert optimizer.params[name] is p


def test_blocks_are_computed_again_only_when_asked_for():
    asked = build_model(tiny_config("train.checkpoint_activations=true"), V, CPU)
    assert all(isinstance(block.forward, functools.partial) for block in asked.model.layers)
    assert not any(
        isinstance(block.forward, functools.partial) for block in build_model(tiny_config(), V, CPU).model.layers
    )
    assert asked.state_dict().keys() == build_model(tiny_config(), V, CPU).state_dict().keys()


def test_a_step_too_small_for_the_team_is_refused_before_anything_is_built():
    with pytest.raises(ConfigError, match="cannot be shared out to 5 processes"):
        build_learner(tiny_config(), V, CPU, Team(size=5))
