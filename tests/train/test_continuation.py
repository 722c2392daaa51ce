"""What continuation.py promises: a run goes on with other data or elsewhere only as asked, and it is recorded (R07, R16)."""

import pytest
import torch

from dozero.corpus.store import Corpus
from dozero.dataset.shards import build_dataset, open_dataset
from dozero.device import Device
from dozero.errors import CheckpointError, ConfigError, ModelMismatch
from dozero.pipeline.lineage import trace_lineage
from dozero.testing import WORDS, tiny_config, tiny_corpus, tiny_dataset
from dozero.train.checkpoint import RunState
from dozero.train.continuation import (
    check_continuation,
    check_tokenizer_of_run,
    datasets_told,
    machine_differences,
    note_dataset,
    refuse_differences,
    run_file_text,
)
from dozero.train.events import Finished, Started, Stepped
from dozero.train.log import read_log
from dozero.train.loop import train
from dozero.train.step import Schedule

CPU = Device("cpu", torch.float32, 1)
CONFIG = tiny_config("train.save_every=5")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny_dataset(tmp_path_factory.mktemp("data") / "dataset")


@pytest.fixture(scope="module")
def other(tmp_path_factory, data):
    """Other words in the same tokens."""
    folder = tmp_path_factory.mktemp("other")
    corpus: Corpus = tiny_corpus(folder / "corpus", WORDS[:90])
    build_dataset(corpus, data[1], 20.0, inputs={}, out=folder / "dataset")
    return open_dataset(folder / "dataset"), data[1]


def leave_at(step, data, run, **options):
    events = train(CONFIG, *data, run, CPU, **options)
    for event in events:
        if isinstance(event, Stepped) and event.step == step:
            break
    events.close()


def bits_of(run):
    names = ("metrics.jsonl", "samples.jsonl", "model/model.safetensors")
    return {name: (run / name).read_bytes() for name in names}


def test_other_data_are_refused_and_the_leave_is_named(data, other, tmp_path):
    leave_at(7, data, tmp_path)
    with pytest.raises(ConfigError, match="other settings") as caught:
        next(train(CONFIG, *other, tmp_path, CPU))
    assert "--allow-data-change" in caught.value.next
    with pytest.raises(ConfigError) as caught:
        next(train(tiny_config("seed=4"), *other, tmp_path, CPU))
    assert "--allow-data-change" not in caught.value.next


def test_with_leave_it_goes_on_with_them_tells_it_and_keeps_it(data, other, tmp_path):
    leave_at(7, data, tmp_path)
    started, *_, finished = train(CONFIG, *other, tmp_path, CPU, allow_data_change=True)
    assert isinstance(started, Started)
    assert isinstance(finished, Finished)
    assert started.step == 7
    before, now = (d[0].manifest.fingerprint for d in (data, other))
    assert started.differences == (f"dataset: {before[:12]} -> {now[:12]}",)
    assert [line for line in read_log(tmp_path / "metrics.jsonl") if "dataset" in line] == [{"step": 8, "dataset": now}]
    assert datasets_told((tmp_path / "run.toml").read_text(encoding="utf-8")) == [now, before]
    for fingerprint in (before, now):
        assert tmp_path.resolve() in {run.path for run in trace_lineage([fingerprint], [tmp_path]).runs}
    assert next(train(CONFIG, *other, tmp_path, CPU)).differences == (), "told once, and then it is the run's dataset"


@pytest.mark.parametrize("stops", [(7,), (8,), (8, 9, 11), (10,)])
def test_stopped_around_the_change_it_ends_alike(stops, data, other, tmp_path):
    leave_at(7, data, tmp_path / "whole")
    list(train(CONFIG, *other, tmp_path / "whole", CPU, allow_data_change=True))
    leave_at(7, data, tmp_path / "stopped")
    for stop in stops:
        leave_at(stop, other, tmp_path / "stopped", allow_data_change=True)
    list(train(CONFIG, *other, tmp_path / "stopped", CPU))
    assert bits_of(tmp_path / "stopped") == bits_of(tmp_path / "whole")


def test_data_in_other_tokens_are_refused_even_with_leave(data, tmp_path):
    words = tuple(word.replace("b", "x") for word in WORDS)
    stranger = tiny_dataset(tmp_path / "stranger", words)
    leave_at(7, data, tmp_path / "run")
    before = (tmp_path / "run" / "run.toml").read_bytes()
    with pytest.raises(ModelMismatch, match="another tokenizer"):
        next(train(CONFIG, *stranger, tmp_path / "run", CPU, allow_data_change=True))
    assert (tmp_path / "run" / "run.toml").read_bytes() == before
    check_tokenizer_of_run(tmp_path / "no-run", stranger[1])


def test_strict_refuses_other_threads_by_name_and_leaves_the_run_alone(data, tmp_path):
    leave_at(7, data, tmp_path)
    torch.set_num_threads(2)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file() and p.name != "run.lock"}
    with pytest.raises(CheckpointError, match="other bits") as caught:
        next(train(CONFIG, *data, tmp_path, CPU, strict=True))
    assert caught.value.got == "threads: 1 -> 2"
    assert "--strict" in caught.value.next
    assert {p: p.read_bytes() for p in before} == before
    torch.set_num_threads(1)
    assert next(train(CONFIG, *data, tmp_path, CPU, strict=True)).step == 7


def test_each_fact_of_the_machine_that_changed_is_told(tmp_path):
    state = RunState(1, Schedule(2), machine={"torch": "2.7", "threads": "2", "gone": "1", "cpu": "AVX2"})
    facts = {"torch": "2.8", "threads": "2", "cpu": "AVX512", "new": "1"}
    assert machine_differences(state, facts) == ("torch: 2.7 -> 2.8", "cpu: AVX2 -> AVX512")
    assert machine_differences(None, facts) == ()
    refuse_differences((), tmp_path)


def test_a_dataset_is_noted_at_the_step_it_comes_in():
    state = RunState(0, Schedule(9))
    assert note_dataset(state, "a" * 20) == ()
    state.step = 4
    assert note_dataset(state, "a" * 20) == ()
    assert note_dataset(state, "b" * 20) == (f"dataset: {'a' * 12} -> {'b' * 12}",)
    assert state.datasets == {"0": "a" * 20, "4": "b" * 20}


def test_the_run_file_tells_its_datasets_and_settings(tmp_path):
    text = run_file_text(CONFIG, ["b", "a"])
    assert datasets_told(text) == ["b", "a"]
    assert datasets_told("seed = 0\n# dataset c\n") == []
    check_continuation(CONFIG, CONFIG, same_data=True, allow_data_change=False, run=tmp_path)
