"""What run_facts.py promises: what a run wrote is read back, wherever one points, finished or not."""

import shlex
import shutil

import pytest
import torch

from dozero.config import load_config, to_toml
from dozero.device import Device
from dozero.errors import ArtifactError
from dozero.settings import RunConfig
from dozero.testing import tiny_config, tiny_dataset
from dozero.train.events import Evaluated, Sampled, Stepped
from dozero.train.loop import train
from dozero.train.run_facts import differences, find_run, read_facts

CPU = Device("cpu", torch.float32, 1)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("facts")
    data = tiny_dataset(root / "dataset")
    run = root / "ws" / "runs" / "main"
    return data, run, list(train(tiny_config("train.observe_every=4"), *data, run, CPU))


def test_what_the_events_told_is_read_back(made):
    (dataset, _), run, story = made
    facts = read_facts(run)
    assert facts.config == tiny_config("train.observe_every=4")
    assert [x["loss"] for x in facts.losses] == [e.loss for e in story if isinstance(e, Stepped)]
    assert [x["bits_per_byte"] for x in facts.losses] == [e.bits_per_byte for e in story if isinstance(e, Stepped)]
    evaluated = [e for e in story if isinstance(e, Evaluated)]
    assert [x["heldout_bits_per_byte"] for x in facts.heldout] == [e.bits_per_byte for e in evaluated]
    assert [x["text"] for x in facts.samples] == [e.text for e in story if isinstance(e, Sampled)]
    assert [x["step"] for x in facts.looks] == [4, 8, 10, 12]
    assert facts.step == 12
    assert facts.diverged is None
    assert facts.manifest is not None
    assert facts.documents == dataset.train.documents
    assert facts.epochs == pytest.approx(facts.losses[-1]["tokens"] / dataset.train.tokens)


def test_a_run_is_found_from_any_of_its_folders(made):
    _, run, _ = made
    for place in (run, run.parent.parent, run / "model", run / "checkpoints" / "step-000012"):
        assert find_run(place) == run


def test_where_there_is_no_run_one_is_told_what_would_be(tmp_path):
    with pytest.raises(ArtifactError, match="holds no run"):
        find_run(tmp_path)
    with pytest.raises(ArtifactError, match="no such folder"):
        find_run(tmp_path / "none")


def test_a_run_that_has_hardly_begun_or_is_of_an_older_version_is_read(made, tmp_path):
    run = shutil.copytree(made[1], tmp_path / "run")
    shutil.rmtree(run / "model")
    (run / "timings.jsonl").unlink()
    lines = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    (run / "metrics.jsonl").write_text("".join(lines[1:3]))
    facts = read_facts(run)
    assert (facts.manifest, facts.data, facts.timings, facts.looks) == (None, {}, [], [])
    assert (facts.epochs, facts.documents) == (None, None)
    (run / "metrics.jsonl").write_text("")
    assert read_facts(run).step == 0


def test_differences_are_the_overrides_that_lead_from_one_to_the_other(tmp_path):
    there = tiny_config("seed=5", "data.lang=pt", 'train.log_to=["wandb"]', "optim.muon_lr=0.125")
    (tmp_path / "run.toml").write_text(to_toml(RunConfig()), encoding="utf-8")
    assert load_config(tmp_path / "run.toml", differences(RunConfig(), there)) == there
    assert differences(there, there) == []


def test_the_command_repeats_the_run_with_the_settings_it_was_given(made, tmp_path):
    """Also what stood on the command line and not in the workspace's file."""
    _, run, _ = made
    (run.parent.parent / "run.toml").write_text(to_toml(tiny_config("seed=9", "data.lang=pt")), encoding="utf-8")
    words = shlex.split(read_facts(run).command)
    assert words[:2] == ["dozero", "train"]
    assert load_config(words[2], words[3:]) == read_facts(run).config
