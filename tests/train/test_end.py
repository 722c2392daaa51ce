"""What end.py promises: a run ends in its time, after the steps it was planned to make wherever that is possible."""

import itertools
import types

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from dozero.device import Device
from dozero.settings import TrainConfig
from dozero.testing import WORDS, tiny_config, tiny_dataset
from dozero.train.end import end_in_time, first_end
from dozero.train.events import Replanned, Started
from dozero.train.loop import train

CPU = Device("cpu", torch.float32, 1)
SLACK = 0.05


@given(
    steps=st.integers(1, 10**6),
    expected=st.integers(0, 10**6),
    limit=st.floats(1, 1e6),
    slack=st.floats(0, 100),
    step=st.integers(1, 10**5),
    seconds=st.floats(1e-3, 1e6),
)
@example(steps=900, expected=300, limit=60.0, slack=3.0, step=100, seconds=20.5)
@example(steps=900, expected=300, limit=60.0, slack=3.0, step=100, seconds=30.0)
@example(steps=900, expected=300, limit=60.0, slack=3.0, step=100, seconds=10.0)
def test_the_expected_steps_are_made_if_they_take_about_the_time_else_those_that_fit(
    steps, expected, limit, slack, step, seconds
):
    config = TrainConfig(steps=steps, max_seconds=limit, expected_steps=expected, slack_seconds=slack)
    end, a_step = end_in_time(config, step, seconds), seconds / step
    slack = slack if expected else 0.0
    assert end <= steps
    in_time = end * a_step <= (limit + slack) * (1 + 1e-9)
    uses_it = (end + 1) * a_step >= (limit - slack) * (1 - 1e-9)
    assert in_time or end <= step + 1
    assert uses_it or end == steps
    aimed_at = min(steps, expected)
    if aimed_at > step and limit - slack <= aimed_at * a_step <= limit + slack - a_step:
        assert end == aimed_at


@pytest.mark.parametrize(("expected", "limit", "end"), [(0, 60, 900), (300, 60, 300), (3000, 60, 900), (300, 0, 900)])
def test_a_run_sets_out_for_the_steps_expected_where_there_is_a_time(expected, limit, end):
    assert first_end(TrainConfig(steps=900, max_seconds=limit, expected_steps=expected)) == end


def train_paced(folder, monkeypatch, **settings):
    """Train with a clock that goes on by a second each time the loop looks, twice a step; return what was told."""
    now = itertools.count()
    monkeypatch.setattr("dozero.train.loop.time", types.SimpleNamespace(perf_counter=lambda: next(now)))
    dataset, tokenizer = tiny_dataset(folder / "dataset", WORDS[:106])
    rare = {f"{verb}_every": 1000 for verb in ("eval", "sample", "save", "observe")}
    config = tiny_config(*(f"train.{name}={value}" for name, value in (rare | settings).items()))
    return list(train(config, dataset, tokenizer, folder / "run", CPU))


def ends_of(story):
    return [event.total_steps for event in story if isinstance(event, Started | Replanned)]


@pytest.fixture(scope="module")
def step_s(tmp_path_factory):
    """What a step takes by the clock of train_paced, looks and the rest spread over all."""
    with pytest.MonkeyPatch.context() as patch:
        return train_paced(tmp_path_factory.mktemp("steady"), patch, steps=100)[-1].seconds / 100


def planned(limit):
    """Settings of a run that is to make a hundred steps in about this time."""
    return {"steps": 900, "max_seconds": limit, "expected_steps": 100, "slack_seconds": SLACK * limit}


@pytest.mark.parametrize("off", [0.97, 1.0, 1.03])
def test_a_machine_a_little_faster_or_slower_than_planned_changes_no_bit(off, step_s, tmp_path, monkeypatch):
    """The end stays, so that weights and metrics are those of a run that has the steps alone."""
    story = train_paced(tmp_path / "a", monkeypatch, **planned(100 * step_s * off))
    assert ends_of(story) == [100]
    train_paced(tmp_path / "b", monkeypatch, steps=100)
    for name in ("metrics.jsonl", "model/model.safetensors"):
        assert (tmp_path / "a/run" / name).read_bytes() == (tmp_path / "b/run" / name).read_bytes()


@pytest.mark.parametrize("off", [0.5, 0.85, 1.15, 2.0])
def test_a_machine_much_faster_or_slower_than_planned_keeps_the_time(off, step_s, tmp_path, monkeypatch):
    limit = 100 * step_s * off
    story = train_paced(tmp_path, monkeypatch, **planned(limit))
    assert ends_of(story)[0] == 100
    assert story[-1].step == ends_of(story)[-1] != 100
    assert story[-1].seconds == pytest.approx(limit, rel=SLACK + 0.02)
