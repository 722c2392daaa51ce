"""`dozero compare`: which of two runs is better, by how much, what each took; and only by text that neither learned from."""

import json
import re
import shutil

import pytest
import torch
from typer.testing import CliRunner

from dozero.cli.main import app
from dozero.config import load_config
from dozero.device import Device
from dozero.errors import ArtifactError, ConfigError, DataError
from dozero.pipeline.stages import Workspace, run_stages
from dozero.testing import WORDS, tiny_workspace

CPU = Device("cpu", torch.float32, 1)
GOOD = ("train.steps=60", "optim.adam_lr=0.03")


def train_run(file, name, *overrides):
    for _ in run_stages(load_config(file, overrides=overrides), Workspace(file.parent, name), CPU):
        pass
    return file.parent / "runs" / name


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run of a few steps and one of many, on the same data, in reading only."""
    file = tiny_workspace(tmp_path_factory.mktemp("two"))
    return train_run(file, "short", "train.steps=4"), train_run(file, "long", *GOOD)


def invoke(*arguments):
    return CliRunner().invoke(app, ["compare", *map(str, arguments)])


def compare(*arguments):
    asked = () if "--task" in arguments else ("--task", "heldout")  # minimal pairs take their time, shapes checked
    ran = invoke(*arguments, *asked)
    assert ran.exit_code == 0, ran.output
    return ran.stdout


def compare_json(*arguments):
    return [json.loads(line) for line in compare(*arguments, "--json").splitlines()]


def test_the_better_run_is_named_with_the_size_of_the_difference(runs):
    short, long = runs
    told = compare(short, long)
    assert told.splitlines()[0] == "A: short   B: long"
    assert "  long is better, and chance does not explain the difference" in told
    (compared,) = [e for e in compare_json(short, long) if e["event"] == "Compared"]
    assert compared["better"] == "second"
    assert compared["difference"]["interval"]["high"] < 0, "fewer bits"
    (reverse,) = [e for e in compare_json(long, short) if e["event"] == "Compared"]
    assert reverse["better"] == "first"
    assert reverse["difference"]["interval"]["value"] == pytest.approx(-compared["difference"]["interval"]["value"])


def test_a_run_is_not_better_than_itself(runs):
    assert "no difference that chance does not explain (p = 1.000)" in compare(runs[1], runs[1] / "model")


def test_what_each_took_stands_beside_and_where_both_were_at_the_same_cost(runs):
    (costs,) = [e for e in compare_json(*runs) if e["event"] == "Costs"]
    assert costs["first"]["parameters"] == costs["second"]["parameters"]
    assert costs["equal"]["parameters"] is True
    assert costs["equal"]["tokens"] is False
    assert costs["at_equal"][0]["axis"] == "tokens"
    assert costs["at_equal"][0]["amount"] == costs["first"]["tokens"]
    told = compare(*runs)
    assert re.search(r"parameters +[\d,]+ +[\d,]+ +equal \(within 5%\)", told)
    assert re.search(r"tokens +[\d,]+ +[\d,]+ +not equal", told)
    assert "at the same 2" in told


def test_of_several_the_first_is_held_against_each(runs):
    compared = [e["models"] for e in compare_json(runs[0], runs[1], runs[0]) if e["event"] == "Compared"]
    assert compared == [[str(runs[0]), str(runs[1])], [str(runs[0]), str(runs[0])]]


def test_documents_that_the_other_learned_from_are_left_out(runs, tmp_path):
    other = tiny_workspace(tmp_path / "other", "data.heldout_percent=50", words=WORDS)
    run = train_run(other, "main", *GOOD)
    told = compare(run, runs[0])
    assert re.search(r"\d+ held-out documents are left out: the second model was trained on them", told)
    all_of_them = next(e for e in compare_json(run, run) if e["event"] == "Compared")
    fewer = next(e for e in compare_json(run, runs[0]) if e["event"] == "Compared")
    heldout_from_both = next(e for e in compare_json(runs[0], run) if e["event"] == "Compared")
    assert 0 < fewer["items"] == heldout_from_both["items"] < all_of_them["items"]


def test_a_task_of_ones_own(runs, tmp_path):
    (tmp_path / "mine.toml").write_text('[task]\nkind = "text"\n')
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps({"text": word}) + "\n" for word in WORDS[:20]))
    (compared,) = [e for e in compare_json(*runs, "--task", tmp_path / "mine.toml") if e["event"] == "Compared"]
    assert (compared["task"], compared["items"]) == ("mine", 20)


@pytest.mark.no_cover
def test_without_a_task_the_held_out_text_and_the_pairs_are_asked(runs):
    ran = invoke(*runs, "--json")
    events = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [(e["event"], e.get("task")) for e in events] == [
        ("Compared", "heldout"), ("Skipped", "pairs-en"), ("Costs", None),
    ]  # fmt: skip


def test_it_speaks_portuguese(runs, monkeypatch):
    monkeypatch.setenv("LC_ALL", "pt_BR.UTF-8")
    told = compare(*runs)
    assert "long é melhor" in told
    assert re.search(r"com os mesmos 2\d\d tokens: \d,\d{4} e \d,\d{4} bits por byte", told)


@pytest.mark.no_cover
def test_what_cannot_be_compared_is_one_line(runs, tmp_path):
    shutil.copytree(runs[0] / "model", tmp_path / "alone")
    (tmp_path / "alone" / "manifest.json").unlink()
    foreign = tiny_workspace(tmp_path / "foreign", words=["xyz" + word for word in WORDS])
    run = train_run(foreign, "main", "train.steps=4")
    for arguments, error, what in (
        ((runs[0],), ConfigError, "only one model"),
        ((runs[0], "nowhere"), ArtifactError, "nowhere: no such folder"),
        ((runs[0], runs[1], "--task", "heldou"), ConfigError, "unknown task"),
        ((tmp_path / "alone", runs[1]), ArtifactError, "nothing to compare them by"),
        ((run, runs[0]), DataError, "characters that the model never saw"),
    ):
        ran = invoke(*arguments)
        assert isinstance(ran.exception, error), (arguments, ran.output)
        assert re.search(what, str(ran.exception)), str(ran.exception)
        assert "\n" not in str(ran.exception)
