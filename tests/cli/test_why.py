"""`dozero why`: what a run shows, in words of either language or as JSON, whatever part of it one points at."""

import json
import shutil

import pytest
from typer.testing import CliRunner

from dozero.cli.main import app
from dozero.config import load_config
from dozero.errors import ArtifactError
from dozero.testing import tiny_workspace
from dozero.train.diagnose import diagnose
from dozero.train.findings import tell_finding
from dozero.train.run_facts import read_facts


def invoke(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A workspace with a finished run, in reading only."""
    file = tiny_workspace(tmp_path_factory.mktemp("why") / "ws")
    ran = invoke("train", file)
    assert ran.exit_code == 0, ran.output
    return file.parent


@pytest.mark.parametrize(("locale", "lang"), [("pt_BR.UTF-8", "pt"), ("en_US.UTF-8", "en")])
def test_every_finding_is_told_with_evidence_and_advice(locale, lang, root, monkeypatch):
    monkeypatch.setenv("LC_ALL", locale)
    ran = invoke("why", root)
    assert ran.exit_code == 0, ran.output
    facts = read_facts(root / "runs/main")
    findings = diagnose(facts)
    assert findings
    for finding in findings:
        told = tell_finding(finding, facts, lang)
        assert told.what in ran.stdout
        assert told.evidence in ran.stdout
        assert (told.advice in ran.stdout) == (told.level != "well")
        assert told.command in ran.stdout


def test_as_json_it_is_the_findings_with_their_numbers(root):
    ran = invoke("why", root / "runs/main", "--json")
    assert ran.exit_code == 0, ran.output
    assert ran.stderr == ""
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    findings = diagnose(read_facts(root / "runs/main"))
    assert [line["key"] for line in lines] == [f.key for f in findings]
    assert {line["event"] for line in lines} == {"Finding"}
    for line, finding in zip(lines, findings, strict=True):
        assert line["numbers"] == pytest.approx(finding.numbers)
        assert line["change"] == list(finding.change)


def test_the_command_it_names_works_and_leaves_the_run_alone(root, tmp_path):
    ws = shutil.copytree(root, tmp_path / "ws")
    lines = map(json.loads, invoke("why", ws, "--json").stdout.splitlines())
    (longer,) = (line for line in lines if line["key"] == "too_short")
    before = (ws / "runs/main/metrics.jsonl").read_bytes()
    ran = invoke(*longer["command"].split()[1:])
    assert ran.exit_code == 0, ran.output
    assert load_config(ws / "runs/longer/run.toml").train.steps == 24
    assert (ws / "runs/main/metrics.jsonl").read_bytes() == before


def test_the_model_of_a_run_means_the_run(root):
    assert invoke("why", root / "runs/main/model").stdout == invoke("why", root).stdout


def test_a_folder_without_a_run_is_a_mistake_of_one_line(tmp_path):
    ran = invoke("why", tmp_path)
    assert isinstance(ran.exception, ArtifactError)
    assert "holds no run" in str(ran.exception)
