"""`dozero run`: every stage that is out of date, and none that is not."""

import json

import pytest
from typer.testing import CliRunner

from dozero.cli.main import app
from dozero.pipeline.report import describe
from dozero.testing import tiny_workspace


@pytest.fixture
def file(tmp_path):
    return tiny_workspace(tmp_path / "ws")


def run(*arguments):
    ran = CliRunner().invoke(app, ["run", *map(str, arguments)])
    assert ran.exit_code == 0, ran.output
    return ran


def events(*arguments):
    ran = run(*arguments, "--json")
    assert ran.stderr == ""
    return [json.loads(line) for line in ran.stdout.splitlines()]


def stages_made(lines):
    return [line["stage"] for line in lines if line["event"] == "StageDone" and line["made"]]


def test_it_brings_everything_up_to_date_once(file):
    first = events(file)
    assert stages_made(first) == ["corpus", "tokenizer", "dataset"]
    assert sum(line["event"] == "Stepped" for line in first) == 12
    again = events(file)
    assert stages_made(again) == []
    assert sum(line["event"] == "Stepped" for line in again) == 0
    assert again[-1]["event"] == "Finished"
    assert describe(file.parent)["runs"]["main"]["finished"]


@pytest.mark.parametrize(
    ("locale", "made", "current"), [("C", "made in", "up to date in"), ("pt_BR", "feito em", "em dia em")]
)
def test_people_read_what_was_made_and_what_was_up_to_date(file, monkeypatch, locale, made, current):
    monkeypatch.setenv("LC_ALL", locale)
    assert [made in line for line in run(file).stdout.splitlines()[:3]] == [True] * 3
    assert [current in line for line in run(file).stdout.splitlines()[:3]] == [True] * 3


def test_only_what_is_out_of_date_is_made(file):
    run(file)
    (file.parent / "work/dataset/index.json").unlink()
    assert stages_made(events(file)) == ["dataset"]


def test_it_takes_overrides_and_a_name(file, monkeypatch):
    monkeypatch.chdir(file.parent)
    events("run.toml", "train.steps=2", "--name", "short")
    assert describe(file.parent)["runs"]["short"]["step"] == 2
    events("run.toml", "train.steps=3", "--name", "short", "--fresh")
    assert describe(file.parent)["runs"]["short"]["step"] == 3
