"""What plan.py promises: settings that fill the minutes and no more, on whatever machine.

The clock here is one of our own that goes a second forward each time somebody looks, so that a step takes exactly one.
"""

import re
import types

import pytest
import torch

from dozero.config import build_config
from dozero.device import Device
from dozero.errors import ConfigError
from dozero.testing import tiny_config, tiny_dataset
from dozero.train.plan import COUNTING_S, HEAD_DIM, LEAST_STEPS, SHAPES, measure_step, plan_minutes

CPU = Device("cpu", torch.float32, 1)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return tiny_dataset(tmp_path_factory.mktemp("plan") / "dataset")[0]


class Clock:
    """Goes forward by `tick` seconds at each look."""

    def __init__(self, tick):
        self.tick, self.now = tick, 0.0

    def perf_counter(self):
        self.now += self.tick
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock(tick=1.0)
    monkeypatch.setattr("dozero.train.plan.time", types.SimpleNamespace(perf_counter=clock.perf_counter))
    return clock


def shape_of(config):
    return {key: getattr(config.model, key) for key in SHAPES[0][1]}


@pytest.mark.parametrize("tick", [0.001, 0.5, 3.0])
def test_a_step_is_measured_as_the_clock_goes(tick, clock, dataset):
    clock.tick = tick
    assert measure_step(tiny_config(), dataset, CPU) == pytest.approx(tick)


def test_a_real_step_takes_some_time(dataset):
    assert 0 < measure_step(tiny_config(), dataset, CPU) < 10


@pytest.mark.parametrize("seconds", [120, 600, 3600])
@pytest.mark.parametrize("passed_s", [0.0, 15.0])
@pytest.mark.parametrize("tick", [0.01, 0.3, 1.0])
def test_the_plan_ends_in_time_all_told(seconds, passed_s, tick, clock, dataset):
    """What has passed, measuring the machine, training, and looking at what was held out."""
    clock.tick = tick
    plan = plan_minutes(tiny_config(), dataset, CPU, seconds, passed_s)
    exam_s = plan.step_s * len(dataset.heldout.ids) / plan.config.train.batch_tokens / 2 + COUNTING_S
    assert passed_s + clock.now + plan.config.train.max_seconds + exam_s <= seconds + 3 * tick + 0.05
    assert plan.seconds == seconds
    assert plan.step_s == pytest.approx(tick)


@pytest.mark.parametrize("seconds", [60, 600])
def test_the_time_is_used(seconds, clock, dataset):
    clock.tick = 0.1
    train = plan_minutes(tiny_config(), dataset, CPU, seconds, 0.0).config.train
    assert train.max_seconds > 0.8 * seconds - COUNTING_S
    assert train.steps >= train.max_seconds / 0.1, "the clock ends the run, not the steps"


def test_a_plan_is_made_of_settings_that_are_accepted(clock, dataset):
    for seconds in (120, 10**10):
        config = plan_minutes(tiny_config(), dataset, CPU, seconds, 0.0).config
        assert build_config(config.model_dump()) == config
        assert config.model.n_heads * HEAD_DIM == config.model.d_model
        untouched = {"seed", "data", "tokenizer", "optim", "eval", "generate"}
        before = tiny_config()
        assert all(getattr(config, name) == getattr(before, name) for name in untouched)


def test_more_time_is_never_for_a_smaller_model(clock, dataset):
    clock.tick = 0.01
    plans = [plan_minutes(tiny_config(), dataset, CPU, seconds, 0.0) for seconds in (60, 10**7, 10**12)]
    sizes = [plan.config.model.d_model for plan in plans]
    assert sizes == sorted(sizes)
    assert {sizes[0], sizes[-1]} == {SHAPES[0][1]["d_model"], SHAPES[-1][1]["d_model"]}


def test_the_epochs_foretold_are_those_of_the_time(clock, dataset):
    clock.tick = 0.5
    plan = plan_minutes(tiny_config(), dataset, CPU, 600, 0.0)
    steps = plan.config.train.max_seconds / plan.step_s
    assert plan.epochs == pytest.approx(steps * plan.config.train.batch_tokens / len(dataset.train.ids), rel=0.01)


@pytest.mark.parametrize("tick", [0.05, 0.3, 1.0, 5.0])
def test_too_little_time_names_how_much_is_enough(tick, clock, dataset):
    """The command it proposes is then accepted: no second refusal with the same advice."""
    clock.tick, seconds = tick, 1.0
    with pytest.raises(ConfigError, match="too little time to train anything") as caught:
        plan_minutes(tiny_config(), dataset, CPU, seconds, passed_s=0.5)
    proposed_s = 60 * float(re.search(r"--minutes ([\d.]+)", caught.value.next)[1])
    assert proposed_s > seconds
    plan = plan_minutes(tiny_config(), dataset, CPU, proposed_s, passed_s=0.5)
    assert plan.config.train.steps >= LEAST_STEPS


def test_measuring_leaves_the_draw_of_others_alone(dataset):
    """The weights of the run to come do not depend on how often a step was measured before."""
    from dozero.train.learner import build_model

    before = build_model(tiny_config(), dataset.vocab_size, CPU).state_dict()
    measure_step(tiny_config(), dataset, CPU)
    after = build_model(tiny_config(), dataset.vocab_size, CPU).state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
