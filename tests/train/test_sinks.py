"""What sinks.py promises: every event is passed on untouched, and other tools read what was told."""

import contextlib
import importlib.util
import json
import math

import pytest
import torch

from dozero.device import Device
from dozero.errors import ConfigError, MissingExtra
from dozero.testing import tiny_config, tiny_dataset
from dozero.train.checkpoint import list_checkpoints
from dozero.train.events import Evaluated, Observed, Sampled, Saved, Started, Stepped
from dozero.train.loop import train
from dozero.train.sinks import SINKS, check_sinks, pass_through, scalars_of

CPU = Device("cpu", torch.float32, 1)
CONFIG = tiny_config("train.observe_every=4")
HAS = {name: importlib.util.find_spec(name) is not None for name in SINKS}


def needs(name):
    return pytest.mark.skipif(not HAS[name], reason=f"{name} is not installed: pip install 'dozero[{name}]'")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny_dataset(tmp_path_factory.mktemp("sinks") / "dataset")


def told_to(name, data, run):
    return list(pass_through(train(CONFIG, *data, run, CPU), [name], run))


def curves_of(folder):
    """What TensorBoard's own reader finds: name of a curve -> {step: value}."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    reader = EventAccumulator(str(folder))
    reader.Reload()
    return {tag: {x.step: x.value for x in reader.Scalars(tag)} for tag in reader.Tags()["scalars"]}


@needs("tensorboard")
@pytest.mark.filterwarnings("ignore")  # what a foreign library warns of is not ours to mend
def test_tensorboard_reads_back_every_figure_at_its_step(data, tmp_path):
    story = told_to("tensorboard", data, tmp_path / "run")
    curves = curves_of(tmp_path / "run" / "tensorboard")
    expected = {}
    for event in story:
        for name, value in scalars_of(event).items():
            expected.setdefault(name, {})[event.step] = value
    assert curves.keys() == expected.keys()
    for name, points in expected.items():
        assert curves[name] == pytest.approx(points, rel=1e-6), name
    assert {
        "train/loss",
        "train/bits_per_byte",
        "heldout/loss",
        "update_ratio/head",
        "dead_units/layer 0 mlp",
    } <= curves.keys()
    assert list(curves["train/loss"]) == list(range(1, 13))


@needs("tensorboard")
@pytest.mark.filterwarnings("ignore")
def test_a_run_left_and_continued_has_each_step_once(data, tmp_path):
    run = tmp_path / "run"
    events = pass_through(train(CONFIG, *data, run, CPU), ["tensorboard"], run)
    next(e for e in events if isinstance(e, Stepped) and e.step == 7)
    events.close()
    assert list_checkpoints(run)[0].name == "step-000007", "to leave the consumer is to leave the loop, which saves"
    assert told_to("tensorboard", data, run)[0].step == 7
    assert list(curves_of(run / "tensorboard")["train/loss"]) == list(range(1, 13))


@needs("tensorboard")
@pytest.mark.filterwarnings("ignore")
def test_telling_changes_neither_events_nor_bits(data, tmp_path):
    story = told_to("tensorboard", data, tmp_path / "told")
    plain = list(train(CONFIG, *data, tmp_path / "plain", CPU))
    assert [type(e) for e in story] == [type(e) for e in plain]
    for name in ("metrics.jsonl", "samples.jsonl", "model/model.safetensors"):
        assert (tmp_path / "told" / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()


@needs("wandb")
@pytest.mark.filterwarnings("ignore")
def test_wandb_keeps_everything_in_its_offline_folder(data, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_SILENT", "true")
    story = told_to("wandb", data, tmp_path / "run")
    (folder,) = (tmp_path / "run" / "wandb").glob("offline-run-*")
    (file,) = folder.glob("*.wandb")
    written = file.read_bytes()
    for word in ("train/loss", "heldout/bits_per_byte", "update_ratio/head"):
        assert word.encode() in written, word
    last = next(e for e in reversed(story) if isinstance(e, Sampled))
    assert json.dumps(last.text).encode() in written


def test_a_consumer_that_there_is_not_is_named_with_the_nearest():
    with pytest.raises(ConfigError, match=r"expected tensorboard or wandb; got 'tensorbord'.*\[\"tensorboard\"\]"):
        check_sinks(["tensorbord"])


@pytest.mark.skipif(all(HAS.values()), reason="nothing is missing here")
def test_a_consumer_that_is_not_installed_is_told_before_anything_begins(data, tmp_path):
    missing = next(name for name, there in HAS.items() if not there)
    with pytest.raises(MissingExtra, match=rf"dozero\[{missing}\]"):
        told_to(missing, data, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_without_consumers_the_events_are_those_of_the_loop(data, tmp_path):
    with contextlib.closing(train(CONFIG, *data, tmp_path / "run", CPU)) as events:
        assert pass_through(events, (), tmp_path / "run") is events


def test_only_figures_become_curves(data, tmp_path):
    for event in train(CONFIG, *data, tmp_path / "run", CPU):
        curves = scalars_of(event)
        assert all(isinstance(v, int | float) and math.isfinite(v) for v in curves.values())
        assert bool(curves) == isinstance(event, Stepped | Evaluated | Observed)
    assert scalars_of(Started(0, 1, 1)) == scalars_of(Saved(1, tmp_path)) == {}
