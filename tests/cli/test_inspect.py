"""`dozero inspect`: the facts of any folder as indented lines or one JSON object."""

import json
import shutil

import pytest
import torch
from typer.testing import CliRunner

from dozero.cli.main import app
from dozero.config import load_config
from dozero.device import Device
from dozero.errors import ArtifactError
from dozero.pipeline.report import describe
from dozero.pipeline.stages import Workspace, run_stages
from dozero.testing import tiny_workspace

PLACES = ("", "runs/main", "runs/main/model", "work/corpus", "work/tokenizer", "work/dataset")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A workspace with a finished run, in reading only."""
    file = tiny_workspace(tmp_path_factory.mktemp("finished"))
    *_, _finished = run_stages(load_config(file), Workspace(file.parent), Device("cpu", torch.float32, 1))
    return file.parent


def inspect(*arguments):
    return CliRunner().invoke(app, ["inspect", *map(str, arguments)])


@pytest.mark.parametrize("place", PLACES)
def test_as_json_it_is_the_facts_and_nothing_else(root, place):
    ran = inspect(root / place, "--json")
    assert ran.exit_code == 0, ran.output
    assert json.loads(ran.stdout) == describe(root / place)
    assert ran.stdout.count("\n") == 1
    assert ran.stderr == ""


@pytest.mark.parametrize("place", PLACES)
def test_for_people_every_fact_has_a_line(root, place):
    ran = inspect(root / place)
    assert ran.exit_code == 0, ran.output
    lines = ran.stdout.splitlines()
    told = {line.split(":")[0].strip() for line in lines}
    for key, value in describe(root / place).items():
        assert key in told or value in ({}, [], None, ""), key
    assert not [line for line in lines if "{" in line], "nested facts are nested lines"
    assert f"path: {root / place}" in lines


def test_inner_facts_are_indented_under_their_name(root):
    lines = inspect(root).stdout.splitlines()
    runs = lines.index("runs:")
    assert lines[runs + 1] == "  main:"
    assert "    finished: True" in lines[runs:]
    assert "      step-000012: intact" in lines[runs:]


def test_damage_is_told_and_is_no_error(root, tmp_path):
    copy = shutil.copytree(root / "runs/main/model", tmp_path / "model")
    (copy / "config.json").write_text("{")
    ran = inspect(copy)
    assert ran.exit_code == 0, ran.output
    assert "intact: False" in ran.stdout
    assert f"fault: {copy / 'config.json'}: size differs" in ran.stdout


@pytest.mark.parametrize(("place", "told"), [("nowhere", "no such folder"), ("work", "not a folder that dozero wrote")])
def test_any_other_place_is_refused(root, place, told):
    ran = inspect(root / place)
    assert isinstance(ran.exception, ArtifactError)
    assert told in str(ran.exception)
    assert ran.stdout == ""
