"""What events.py promises: plain, frozen facts that tell a whole run, each thing once and in order."""

import dataclasses
import inspect
import json
import typing

import pytest
import torch

from dozero.device import Device
from dozero.testing import tiny_config, tiny_dataset
from dozero.train import events
from dozero.train.events import Compiling, Evaluated, Finished, LayerFacts, Sampled, Saved, Started, Stepped, Stopped
from dozero.train.loop import train

PARTS = (LayerFacts, Compiling)
"""What events hold."""
KINDS = [c for c in vars(events).values() if inspect.isclass(c) and c.__module__ == events.__name__ and c not in PARTS]


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """The events of a run of 12 steps that looks at itself every 5, 4 and 3 steps."""
    folder = tmp_path_factory.mktemp("events")
    config = tiny_config("train.eval_every=5", "train.sample_every=4", "train.save_every=3")
    data = tiny_dataset(folder / "dataset")
    return config, list(train(config, *data, folder / "run", Device("cpu", torch.float32, 1)))


def of(kind, told):
    return [event for event in told[1] if isinstance(event, kind)]


def test_the_union_names_every_event():
    assert set(typing.get_args(events.Event)) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_event_is_a_frozen_fact_with_the_step_first(kind):
    assert kind.__dataclass_params__.frozen
    assert dataclasses.fields(kind)[0].name == "step"


def test_a_run_is_told_from_its_start_to_its_end(told):
    _config, story = told
    assert story[0] == Started(0, 12, params=story[0].params, attention="written")
    assert isinstance(story[-1], Finished)
    assert [event.step for event in story] == sorted(event.step for event in story)
    assert not of(Stopped, told)


def test_each_thing_is_told_once_when_it_is_due_and_at_the_end(told):
    assert [event.step for event in of(Stepped, told)] == list(range(1, 13))
    assert [event.step for event in of(Evaluated, told)] == [5, 10, 12]
    assert [event.step for event in of(Sampled, told)] == [0, 4, 8, 12]
    assert [event.step for event in of(Saved, told)] == [3, 6, 9, 12]


def test_what_is_told_adds_up(told):
    config, story = told
    steps = of(Stepped, told)
    tokens = [event.tokens for event in steps]
    assert all(0 < b - a <= config.train.batch_tokens for a, b in zip([0, *tokens], tokens, strict=False))
    seconds = [event.seconds for event in steps]
    assert seconds == sorted(seconds)
    assert all(event.tokens_per_s > 0 and event.total_steps == 12 for event in steps)
    assert story[-1].seconds >= seconds[-1]
    assert all(event.path.is_dir() for event in of(Saved, told)[-config.train.keep :])
    assert story[-1].model.is_dir()


def test_every_event_of_a_run_can_be_written_as_json(told):
    for event in told[1]:
        tree = json.loads(json.dumps(dataclasses.asdict(event), default=str))
        assert tree["step"] == event.step
