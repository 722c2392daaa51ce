"""`dozero reproduce`: the same bits or exit 2 with the first difference; nothing of it is left behind, nothing overwritten."""

import json
import re
import shutil

import pytest
import torch
from typer.testing import CliRunner

from dozero.artifact import read_manifest
from dozero.cli.main import app
from dozero.config import load_config
from dozero.device import Device, apply_device
from dozero.errors import ArtifactError, CheckpointError
from dozero.pipeline.stages import Workspace, run_stages
from dozero.testing import tiny_workspace


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A workspace with a finished run, in reading only."""
    file = tiny_workspace(tmp_path_factory.mktemp("finished") / "ws")
    device = Device("cpu", torch.float32, 1)
    apply_device(device)  # as each command does, and as whoever makes the run again will
    for _ in run_stages(load_config(file), Workspace(file.parent), device):
        pass
    return file.parent


def invoke(*arguments):
    return CliRunner().invoke(app, ["reproduce", *map(str, arguments)])


def tree_of(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.mark.parametrize(
    ("lang", "told"),
    [("en_US.UTF-8", "identical, bit for bit, over 12 steps"), ("pt_BR.UTF-8", "idênticos, bit a bit, em 12 passos")],
)
def test_a_run_is_identical_and_nothing_is_left_behind(finished, lang, told, monkeypatch):
    monkeypatch.setenv("LC_ALL", lang)
    before = tree_of(finished)
    ran = invoke(finished)
    assert ran.exit_code == 0, ran.output
    assert told in ran.stdout
    sha256 = read_manifest(finished / "runs/main/model").files["model.safetensors"]["sha256"]
    assert len(re.findall(sha256, ran.stdout)) == 2
    assert tree_of(finished) == before


def test_from_the_text_in_a_folder_of_its_own(finished, tmp_path):
    ran = invoke(finished / "runs/main", "--from-text", "-o", tmp_path / "again", "--json")
    assert ran.exit_code == 0, ran.output
    events = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [(e["stage"], e["is_same"]) for e in events if e["event"] == "StageCompared"] == [
        ("corpus", True), ("tokenizer", True), ("dataset", True),
    ]  # fmt: skip
    assert events[-1]["event"] == "Reproduced"
    assert events[-1]["identical"] is True
    assert (tmp_path / "again/runs/main/model/model.safetensors").is_file()


def test_what_comes_out_otherwise_ends_with_2_and_stays_to_be_looked_at(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "ws")
    log = tmp_path / "ws/runs/main/metrics.jsonl"
    lines = log.read_text(encoding="utf-8").splitlines()
    place = next(i for i, line in enumerate(lines) if '"loss"' in line and json.loads(line)["step"] == 7)
    tree = json.loads(lines[place])
    lines[place] = json.dumps(tree | {"loss": tree["loss"] + 1})
    log.write_text("\n".join(lines) + "\n", encoding="utf-8")
    ran = invoke(tmp_path / "ws")
    assert isinstance(ran.exception, CheckpointError)
    assert "the run was not reproduced" in str(ran.exception)
    assert "different, first in metrics.jsonl, step 7, loss" in ran.stdout
    (kept,) = (tmp_path / "ws/runs").glob(".again-*")
    assert (kept / "runs/main/model").is_dir()


def test_a_folder_of_somebody_elses_is_left_alone(finished, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    ran = invoke(finished, "-o", tmp_path / "mine")
    assert isinstance(ran.exception, ArtifactError)
    assert "left alone" in str(ran.exception)
    assert tree_of(tmp_path / "mine") == ["thesis.txt"]


def test_a_run_is_never_made_again_over_itself(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "ws")
    before = tree_of(tmp_path / "ws")
    ran = invoke(tmp_path / "ws", "-o", tmp_path / "ws")
    assert isinstance(ran.exception, ArtifactError), ran.output
    assert tree_of(tmp_path / "ws") == before


def test_what_is_no_run_is_one_line(tmp_path):
    for place in (tmp_path, tmp_path / "gone"):
        ran = invoke(place)
        assert isinstance(ran.exception, ArtifactError)
        assert "\n" not in str(ran.exception)
