"""`dozero train`: what it would cost, training, going on where it was left, and refusing to mix two runs."""

import json
import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dozero.artifact import open_artifact
from dozero.cli.main import app
from dozero.cli.session import ready_device
from dozero.config import load_config
from dozero.errors import CheckpointError, ConfigError
from dozero.model.cost import model_cost
from dozero.pipeline.stages import Workspace, run_stages
from dozero.testing import tiny_workspace
from dozero.train.events import Saved
from dozero.train.log import read_log


@pytest.fixture
def file(tmp_path):
    return tiny_workspace(tmp_path / "ws")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A workspace that `dozero train` has trained, in reading only, and what was said."""
    file = tiny_workspace(tmp_path_factory.mktemp("trained"))
    return file, train(file)


def invoke(*arguments):
    return CliRunner().invoke(app, ["train", *map(str, arguments)])


def train(*arguments):
    ran = invoke(*arguments)
    assert ran.exit_code == 0, ran.output
    return ran


def train_json(*arguments):
    ran = train(*arguments, "--json")
    assert ran.stderr == ""
    return [json.loads(line) for line in ran.stdout.splitlines()]


def interrupt(file, step):
    """Leave a run right after the checkpoint of a step was written."""
    config = load_config(file)
    for event in run_stages(config, Workspace(file.parent), ready_device(config)):
        if isinstance(event, Saved) and event.step == step:
            return


def listing(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def weights(file, name="main"):
    return (file.parent / f"runs/{name}/model/model.safetensors").read_bytes()


# --- training ----------------------------------------------------------------------------------------------------


def test_it_makes_the_data_trains_and_tells_where_the_model_is(trained):
    file, ran = trained
    out = ran.stdout.splitlines()
    assert [line.split(":")[0] for line in out[:3]] == ["corpus", "tokenizer", "dataset"]
    assert re.fullmatch(
        rf"done: {file.parent}/runs/main/model · \d\.\d+ bits per letter in the exam · 12 steps · .*", out[-1]
    )
    open_artifact(file.parent / "runs/main/model", "model")
    steps = [line["step"] for line in read_log(file.parent / "runs/main/metrics.jsonl") if "loss" in line]
    assert steps == list(range(1, 13))
    assert ran.stderr.count("exam") == 3, "samples on the way are progress"


def test_the_same_command_again_says_that_it_is_finished(trained):
    file, first = trained
    before = listing(file.parent / "runs/main/model") | {"log": (file.parent / "runs/main/metrics.jsonl").read_bytes()}
    again = train(file)
    assert again.stdout.splitlines()[-1].split(" · ")[:3] == first.stdout.splitlines()[-1].split(" · ")[:3]
    assert "up to date" in again.stdout
    after = listing(file.parent / "runs/main/model") | {"log": (file.parent / "runs/main/metrics.jsonl").read_bytes()}
    assert after == before


def test_as_json_every_line_is_an_event(file):
    events = train_json(file)
    names = [event["event"] for event in events]
    assert names[:4] == ["StageDone"] * 3 + ["Started"]
    assert names[-2:] == ["Finished", "Reported"]
    assert names.count("Finished") == 1
    assert names.count("Stepped") == 12
    assert [event["step"] for event in events if event["event"] == "Saved"] == [4, 8, 12]
    assert [event["event"] for event in train_json(file)][-1] == "Finished"


def test_overrides_count_for_the_run(file):
    train(file, "train.steps=4", "seed=7", "--name", "short")
    resolved = load_config(file.parent / "runs/short/run.toml")
    assert (resolved.train.steps, resolved.seed) == (4, 7)
    assert resolved == load_config(file, ["train.steps=4", "seed=7"])
    assert not (file.parent / "runs/main").exists()


def test_in_a_workspace_no_file_need_be_named(file, monkeypatch):
    monkeypatch.chdir(file.parent)
    train("train.steps=2")
    train("train.steps=2", "seed=1", "--name", "other")
    assert load_config("runs/other/run.toml").seed == 1
    train("run.toml", "train.steps=2", "--name", "third")
    assert weights(Path("run.toml")) == weights(Path("run.toml"), "third")


# --- going on ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [4, 8])
def test_an_interrupted_run_goes_on_to_the_same_bits(trained, file, step):
    interrupt(file, step)
    ran = train(file)
    assert f"continues from step {step} of 12" in ran.stdout + ran.stderr
    assert weights(file) == weights(trained[0])


def shorten(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("name", ["model.safetensors", "optim.safetensors", "state.json", "manifest.json"])
def test_a_truncated_checkpoint_is_passed_over_told_and_trained_again(trained, file, name):
    interrupt(file, 8)
    checkpoints = file.parent / "runs/main/checkpoints"
    shorten(checkpoints / "step-000008" / name)
    ran = train(file)
    told = ran.stdout + ran.stderr
    assert re.search(r"checkpoint not valid, passed over: \S+step-000008\.broken \(.*\)", told)
    assert "continues from step 4 of 12" in told
    assert weights(file) == weights(trained[0])


def test_when_no_checkpoint_is_left_it_says_so_and_fresh_helps(trained, file):
    interrupt(file, 4)
    shorten(file.parent / "runs/main/checkpoints/step-000004/model.safetensors")
    ran = invoke(file)
    assert isinstance(ran.exception, CheckpointError)
    assert "no checkpoint of this run is intact" in str(ran.exception)
    assert "--fresh" in str(ran.exception)
    train(file, "--fresh")
    assert weights(file) == weights(trained[0])


def test_the_json_of_a_run_that_goes_on_tells_what_was_passed_over(file):
    interrupt(file, 8)
    shorten(file.parent / "runs/main/checkpoints/step-000008/state.json")
    (started,) = (event for event in train_json(file) if event["event"] == "Started")
    ((path, reason),) = started["passed_over"]
    assert path.endswith("step-000008.broken")
    assert "size differs" in reason
    assert started["step"] == 4


# --- another run in the same place -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overrides", "expected", "got"),
    [
        (["seed=3"], "seed = 0", "seed = 3"),
        (["train.steps=13", "generate.top_k=2"], "steps = 12", "steps = 13"),
        (["optim.clip=0.5"], "clip = 1.0", "clip = 0.5"),
        (["data.heldout_percent=30"], "heldout_percent = 20.0", "heldout_percent = 30.0"),
    ],
)
def test_other_settings_are_refused_with_the_first_difference(trained, tmp_path, overrides, expected, got):
    root = shutil.copytree(trained[0].parent, tmp_path / "ws")
    before = listing(root / "runs")
    ran = invoke(root / "run.toml", *overrides)
    assert isinstance(ran.exception, ConfigError)
    assert f"made with other settings; expected {expected}; got {got}. Try: --fresh, or another --name" in str(
        ran.exception
    )
    after = listing(root / "runs")
    assert {k: v for k, v in after.items() if k != "main/run.lock"} == {
        k: v for k, v in before.items() if k != "main/run.lock"
    }


def test_fresh_trains_anew_with_them_and_another_name_beside(trained, tmp_path):
    file = shutil.copytree(trained[0].parent, tmp_path / "ws") / "run.toml"
    train(file, "seed=3", "--name", "third")
    assert weights(file) == weights(trained[0])
    train(file, "seed=3", "--fresh")
    assert weights(file) == weights(file, "third") != weights(trained[0])
    assert load_config(file.parent / "runs/main/run.toml").seed == 3


def test_fresh_leaves_what_dozero_did_not_write(file):
    train(file, "train.steps=2")
    note = file.parent / "runs/main/note.txt"
    note.write_text("mine")
    train(file, "train.steps=2", "--fresh")
    assert note.read_text() == "mine"


# --- what it would cost ------------------------------------------------------------------------------------------


def test_a_dry_run_tells_parameters_and_time_and_trains_nothing(file):
    *_, cost, time, memory, kinds = train(file, "--dry-run").stdout.splitlines()
    params = model_cost(load_config(file).model, 13).params
    assert cost.startswith(f"{params:,} parameters, 12 steps, ")
    assert re.search(r"about \d+ s of training", time)
    assert memory.startswith("memory: ")
    assert "weights" in kinds
    assert not (file.parent / "runs").exists()


def test_a_dry_run_as_json(file):
    *stages, facts = train_json(file, "--dry-run")
    assert [stage["event"] for stage in stages] == ["StageDone"] * 3
    cost = model_cost(load_config(file).model, 13)
    assert facts["parameters"] == cost.params
    assert facts["steps"] == 12
    assert facts["training_flops"] == cost.training_flops_per_token * 64 * 12
    assert facts["seconds_per_step"] > 0
    assert facts["seconds"] == pytest.approx(facts["seconds_per_step"] * 12, abs=0.06)
    assert facts["memory"]["weights_bytes"] == 4 * cost.params


def test_a_dry_run_never_clears_a_run(trained):
    before = weights(trained[0])
    train(trained[0], "--dry-run", "--fresh")
    assert weights(trained[0]) == before


# --- time as the dial --------------------------------------------------------------------------------------------


def test_minutes_choose_size_and_steps_and_a_run_begun_keeps_them(file, monkeypatch):
    monkeypatch.setenv("LC_ALL", "pt_BR.UTF-8")
    ran = train(file, "--minutes", 0.5)
    assert re.search(
        r"plano: [\d.]+ passos de [\d.]+ tokens, modelo de \d+ camadas e largura \d+; uns \d+ s", ran.stdout
    )
    planned = load_config(file.parent / "runs/main/run.toml")
    assert planned.train.max_seconds < 0.5 * 60
    assert planned.model.d_model != load_config(file).model.d_model
    before = weights(file)
    train(file, "--minutes", 0.5)
    assert weights(file) == before


def test_too_few_minutes_are_told_with_how_many_it_takes(file):
    ran = invoke(file, "--minutes", 0.001)
    assert isinstance(ran.exception, ConfigError)
    assert re.search(
        r"too little time.*expected [\d.]+ minutes or more.*got 0\.001\. Try: --minutes [\d.]+", str(ran.exception)
    )
    assert not (file.parent / "runs").exists()
