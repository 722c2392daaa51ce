"""What plan.py promises: settings that fill the minutes and no more, on whatever machine, and a loss told beforehand.

The clock here is one of our own that goes a second forward each time somebody looks, so that a step takes exactly one.
"""

import math
import re
import types

import numpy as np
import pytest
import torch

from dozero.artifact import Manifest
from dozero.config import build_config
from dozero.dataset.shards import Dataset
from dozero.dataset.stream import Collection, TokenStream
from dozero.device import Device
from dozero.errors import ConfigError
from dozero.testing import tiny_config, tiny_dataset
from dozero.train.law import count_size, find_law, foretell
from dozero.train.plan import (
    AROUND_TRAINING_S,
    LEAST_STEPS,
    MEASURING_S,
    TIMED_STEPS,
    WARM_STEPS,
    change,
    measure_step,
    pace_through,
    plan_minutes,
    recipe,
)
from dozero.train.shapes import HEAD_DIM, SHAPES, Shape

CPU = Device("cpu", torch.float32, 1)
STEPS_KEPT = frozenset({"train.steps"})
LAW = find_law(tiny_config())


@pytest.fixture(autouse=True)
def never_compiled(monkeypatch):
    """A long run would be compiled to be measured, which has tests of its own."""
    monkeypatch.setattr("dozero.train.plan.settle_compile", lambda *_: None)


@pytest.fixture(autouse=True)
def only_small_shapes(monkeypatch):
    """Here a step takes what the clock says, but a large model would be computed all the same."""
    monkeypatch.setattr("dozero.train.plan.SHAPES", SHAPES[:3])


@pytest.fixture
def new_text(monkeypatch):
    """As if no document had to be seen twice."""
    monkeypatch.setattr("dozero.train.plan.Prospect.unique_tokens", math.inf)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """A hundred words: too few for any minute, unless the steps are the user's own."""
    return tiny_dataset(tmp_path_factory.mktemp("plan") / "dataset")[0]


def stream_of(documents, length, weights=(1.0,)):
    """A stream of random letters in documents of one length, split evenly into collections."""
    letters = np.random.default_rng(0).integers(1, 13, (documents, length), dtype=np.uint16)
    letters[:, 0] = 0  # END
    each = documents // len(weights)
    collections = (
        Collection(str(i), each, each * length, each * length, each * (length - 1), w) for i, w in enumerate(weights)
    )
    ids = np.append(letters.ravel(), np.uint16(0))
    return TokenStream((ids,), np.arange(documents, dtype=np.int64) * length, tuple(collections))


def random_dataset(documents=20_000, weights=(1.0,)):
    return Dataset(stream_of(documents, 16, weights), stream_of(200, 16), 13, Manifest(kind="dataset"))


@pytest.fixture(scope="module")
def many():
    """320,000 tokens in rows that they fill."""
    return random_dataset()


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


def endless():
    """Settings whose steps are the user's own, and more than fit."""
    return tiny_config("train.steps=1000000000")


# --- time --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tick", [0.001, 0.5, 3.0])
def test_a_step_is_measured_as_the_clock_goes(tick, clock, dataset):
    clock.tick = tick
    assert measure_step(tiny_config(), dataset, CPU) == pytest.approx(tick)


def test_a_real_step_takes_some_time(dataset):
    assert 0 < measure_step(tiny_config(), dataset, CPU) < 10


@pytest.mark.usefixtures("new_text")
@pytest.mark.parametrize("seconds", [120, 3600])
@pytest.mark.parametrize("passed_s", [0.0, 15.0])
@pytest.mark.parametrize("tick", [0.01, 1.0])
def test_the_plan_ends_in_time_all_told(seconds, passed_s, tick, clock, dataset):
    """What has passed, measuring the machine, training, and looking at what was held out."""
    clock.tick = tick
    plan = plan_minutes(endless(), dataset, CPU, seconds, passed_s, kept=STEPS_KEPT)
    exam_s = plan.step_s * len(dataset.heldout.ids) / plan.config.train.batch_tokens / 2 + AROUND_TRAINING_S
    assert passed_s + clock.now + plan.config.train.max_seconds + exam_s <= seconds + 3 * tick + 0.05
    assert plan.asked_s == seconds
    assert plan.seconds == pytest.approx(seconds, abs=1e-6)
    assert plan.step_s == pytest.approx(tick)


def test_long_steps_are_measured_a_few_times_only(clock, dataset):
    clock.tick = MEASURING_S
    measure_step(tiny_config(), dataset, CPU)
    assert clock.now < 2 * MEASURING_S * (WARM_STEPS + TIMED_STEPS) / 2


@pytest.mark.usefixtures("new_text")
@pytest.mark.parametrize(("seconds", "tick"), [(60, 0.1), (600, 1.0)])
def test_the_time_is_used(seconds, tick, clock, many):
    clock.tick = tick
    plan = plan_minutes(tiny_config(), many, CPU, seconds, 0.0)
    train = plan.config.train
    assert train.max_seconds > 0.8 * seconds - AROUND_TRAINING_S - 20 * tick
    assert train.steps >= train.max_seconds / tick, "the clock ends the run, not the steps"
    assert 0.85 * train.max_seconds / tick < plan.steps <= train.max_seconds / tick, "looks and samples take a little"
    assert train.expected_steps == plan.steps, "what is foretold is aimed at"
    assert 0 < train.slack_seconds <= 0.05 * seconds


@pytest.mark.usefixtures("new_text")
def test_several_processes_are_planned_as_many_times_as_fast_on_the_batches_they_were_given(clock, many):
    clock.tick = 0.1
    one, four = (plan_minutes(tiny_config(), many, CPU, 30, 0.0, processes=n) for n in (1, 4))
    assert four.config.train.batch_tokens == tiny_config().train.batch_tokens
    assert four.config.optim == tiny_config().optim
    assert four.steps == pytest.approx(4 * one.steps, rel=0.2)
    assert four.is_rough


def test_a_pace_goes_through_what_was_measured():
    pace = pace_through((1e9, 0.03), (3e9, 0.05))
    assert [pace.seconds(flops) for flops in (1e9, 3e9, 5e9)] == pytest.approx([0.03, 0.05, 0.07])
    for small, large in (((1e9, 0.05), (3e9, 0.04)), ((1e9, 0.01), (3e9, 0.09))):  # no line that a machine could have
        pace = pace_through(small, large)
        assert (pace.step_s, pace.seconds(large[0])) == (0.0, pytest.approx(large[1]))


# --- settings ----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("new_text")
def test_a_plan_is_made_of_settings_that_are_accepted(clock, dataset):
    for seconds in (120, 10**10):
        config = plan_minutes(endless(), dataset, CPU, seconds, 0.0, kept=STEPS_KEPT).config
        assert build_config(config.model_dump()) == config
        assert config.model.n_heads * HEAD_DIM == config.model.d_model
        assert config.train.batch_tokens == recipe(LAW, config)["train.batch_tokens"]
        assert config.optim.muon_lr == LAW.muon_lr
        untouched = {"seed", "data", "tokenizer", "generate"}
        assert all(getattr(config, name) == getattr(tiny_config(), name) for name in untouched)


@pytest.mark.no_cover
@pytest.mark.usefixtures("new_text")
def test_more_time_is_never_for_a_smaller_model(clock, dataset, monkeypatch):
    """The clock tells what a step takes, so none of these larger models is computed."""
    monkeypatch.setattr("dozero.train.plan.SHAPES", SHAPES[:5])
    monkeypatch.setattr("dozero.train.plan.train_step", lambda *_, **__: None)
    clock.tick = 0.5
    plans = [plan_minutes(endless(), dataset, CPU, s, 0.0, kept=STEPS_KEPT) for s in (60, 600, 10**5, 10**7)]
    shapes = [Shape(plan.config.model.d_model, plan.config.model.n_layers) for plan in plans]
    assert shapes == sorted(shapes)
    assert shapes[0] < shapes[-1]
    assert set(shapes) <= set(SHAPES)


def test_what_the_user_gave_stays(clock, many):
    kept = {"model.d_model": 48, "train.batch_tokens": 320, "optim.muon_lr": 0.5}
    config = change(tiny_config(), kept, frozenset())
    plan = plan_minutes(config, many, CPU, 60, 0.0, kept=frozenset(kept))
    assert plan.config.model.d_model == 48
    assert plan.config.train.batch_tokens == 320
    assert plan.config.optim.muon_lr == 0.5
    assert plan.config.optim.adam_lr == LAW.adam_lr


def test_steps_of_the_users_own_are_the_most_there_are(clock, dataset):
    plan = plan_minutes(tiny_config(), dataset, CPU, 600, 0.0, kept=STEPS_KEPT)
    assert plan.config.train.steps == plan.steps == 12


# --- the loss ----------------------------------------------------------------------------------------------------


@pytest.mark.no_cover
@pytest.mark.usefixtures("new_text")
def test_more_time_is_promised_a_lower_loss(clock, many):
    clock.tick = 0.5
    promised = [plan_minutes(tiny_config(), many, CPU, seconds, 0.0).bits_per_byte for seconds in (60, 200, 600)]
    assert promised == sorted(promised, reverse=True)
    assert all(0 < bits < 100 for bits in promised)
    assert promised[0] > promised[-1]


def test_the_epochs_foretold_are_those_of_the_time(clock, many):
    clock.tick = 0.5
    plan = plan_minutes(tiny_config(), many, CPU, 600, 0.0)
    assert plan.epochs == pytest.approx(plan.steps * plan.config.train.batch_tokens / many.train.tokens, rel=0.01)


def test_of_collections_mixed_by_weight_the_most_seen_one_counts(clock):
    clock.tick = 1.0
    even, uneven = (
        plan_minutes(tiny_config(), random_dataset(weights=w), CPU, 120, 0.0) for w in ((1.0, 1.0), (3.0, 1.0))
    )
    assert uneven.epochs == pytest.approx(1.5 * even.epochs, rel=0.05)
    assert uneven.bits_per_byte >= even.bits_per_byte


def test_seeing_a_text_again_costs_something_and_that_is_foretold(clock, many):
    clock.tick = 0.1
    plan = plan_minutes(tiny_config(), many, CPU, 120, 0.0)
    assert plan.epochs > 1.5
    assert plan.bits_per_byte > plan.bits_if_new > 0
    clock.tick = 1.0
    short = plan_minutes(tiny_config(), many, CPU, 60, 0.0)
    assert short.epochs < 1
    assert short.bits_per_byte == short.bits_if_new


@pytest.mark.no_cover
def test_a_text_is_not_repeated_until_it_hurts(clock, many):
    """More time than the text is enough for is not spent, and the steps that are made are told to take less."""
    clock.tick = 0.01
    plan, longer = (plan_minutes(tiny_config(), many, CPU, seconds, 0.0) for seconds in (600, 6000))
    assert plan.is_shortened
    assert plan.config.train.steps == pytest.approx(1.1 * plan.steps, abs=1)  # and the clock ends it
    assert plan.config.train.max_seconds == pytest.approx(plan.steps * plan.step_s, rel=0.15)
    assert plan.seconds < 0.97 * plan.asked_s == 0.97 * 600
    assert 0 < plan.seconds - plan.steps * plan.step_s < AROUND_TRAINING_S + 3
    assert longer.bits_per_byte == pytest.approx(plan.bits_per_byte, rel=0.02)
    size = count_size(plan.config.model, many.vocab_size)
    once_more = foretell(LAW, 1.0, size, (plan.epochs + 1) * many.train.tokens, many.train.tokens)
    assert once_more > foretell(LAW, 1.0, size, plan.epochs * many.train.tokens, many.train.tokens)


# --- too little --------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("new_text")
@pytest.mark.parametrize("tick", [0.05, 0.3, 1.0, 5.0])
def test_too_little_time_names_how_much_is_enough(tick, clock, dataset):
    """The command it proposes is then accepted: no second refusal with the same advice."""
    clock.tick, seconds = tick, 1.0
    with pytest.raises(ConfigError, match="too little time to train anything") as caught:
        plan_minutes(tiny_config(), dataset, CPU, seconds, passed_s=0.5)
    proposed_s = 60 * float(re.search(r"--minutes ([\d.]+)", caught.value.next)[1])
    assert proposed_s > seconds
    plan = plan_minutes(endless(), dataset, CPU, proposed_s, passed_s=0.5, kept=STEPS_KEPT)
    assert plan.steps >= 0.9 * LEAST_STEPS


def test_measuring_leaves_the_draw_of_others_alone(dataset):
    """The weights of the run to come do not depend on how often a step was measured before."""
    from dozero.train.learner import build_model

    before = build_model(tiny_config(), dataset.vocab_size, CPU).state_dict()
    measure_step(tiny_config(), dataset, CPU)
    after = build_model(tiny_config(), dataset.vocab_size, CPU).state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
