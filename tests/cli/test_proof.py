"""`dozero train --prove-resume`: what the certificate says, in both languages and as JSON, and that it may be no."""

import json
import shutil
import string

import pytest
from typer.testing import CliRunner

from dozero.cli import proof as proof_module
from dozero.cli.main import app
from dozero.cli.proof import PROOF_MESSAGES, certificate_lines, certificate_of, tell
from dozero.errors import CheckpointError
from dozero.pipeline.prove import Difference, Proof, first_difference
from dozero.testing import tiny_workspace
from dozero.train.checkpoint import machine_facts

GOOD = Proof(40, 5, 3, 2.5, 3.25, 30.0, None)
BAD = Proof(40, 5, 3, 2.5, 3.25, 30.0, Difference("metrics.jsonl", 7, "loss", "1.5", "1.25"))


def invoke(*arguments):
    return CliRunner().invoke(app, ["train", *map(str, arguments)])


def test_it_kills_compares_certifies_and_leaves_the_workspace_as_it_was(tmp_path):
    file = tiny_workspace(tmp_path)
    ran = invoke(file, "--prove-resume", "--kills", 2)
    assert ran.exit_code == 0, ran.output
    assert "CERTIFICATE OF RESUMPTION" in ran.stdout
    assert "identical, bit for bit" in ran.stdout
    assert ran.stdout.count("killed at step") == 2
    assert {p.name for p in tmp_path.iterdir()} == {"run.toml", "words.txt", "work"}, "no copies, no run"


def test_as_json_it_is_one_object_with_machine_versions_and_verdict(tmp_path):
    file = tiny_workspace(tmp_path)
    ran = invoke(file, "--prove-resume", "--kills", 1, "--json")
    assert ran.exit_code == 0, ran.output
    *_, certificate = map(json.loads, ran.stdout.splitlines())
    assert certificate["event"] == "Certificate"
    assert certificate["identical"] is True
    assert certificate["difference"] is None
    assert certificate["kills"] == 1
    assert certificate["facts"]["torch"]
    assert certificate["facts"]["threads"] == "1"
    assert certificate["machine"]["cores"] >= 1


def test_a_difference_is_told_ends_with_an_error_and_keeps_the_copies(tmp_path, monkeypatch):
    """The copies are real; one weight of the killed one is changed before they are compared."""
    compare = proof_module.prove_resume

    def meddle(config, dataset, tokenizer, folder, kills):
        for event in compare(config, dataset, tokenizer, folder, kills):
            if isinstance(event, Proof):
                metrics = folder / "killed" / "metrics.jsonl"
                metrics.write_text(metrics.read_text().replace('"loss": 2', '"loss": 3', 1))
                found = first_difference(folder / "whole", folder / "killed", 12)
                yield Proof(**{**vars(event), "difference": found})
            else:
                yield event

    monkeypatch.setattr(proof_module, "prove_resume", meddle)
    file = tiny_workspace(tmp_path)
    ran = invoke(file, "--prove-resume", "--kills", 1)
    assert isinstance(ran.exception, CheckpointError)
    assert "other bits" in str(ran.exception)
    assert "DIFFERENT: metrics.jsonl, step 1, loss: 2." in ran.stdout
    (kept,) = tmp_path.glob(".proof-*")
    assert {p.name for p in kept.iterdir()} == {"whole", "killed"}
    shutil.rmtree(kept)


@pytest.mark.parametrize("lang", ["pt", "en"])
@pytest.mark.parametrize("proof", [GOOD, BAD])
def test_the_certificate_reads_well_in_both_languages(lang, proof):
    lines = certificate_lines(lang, certificate_of(proof, machine_facts(), "f" * 64))
    assert len(lines) == 11
    assert lines[0] == tell(lang, "title")
    assert lines[-1].endswith(
        tell(lang, "identical") if proof is GOOD else tell(lang, "different", **vars(BAD.difference))
    )
    assert "2.5 s / 3.2 s" in "".join(lines)


@pytest.mark.parametrize("key", PROOF_MESSAGES)
def test_both_languages_fill_the_same_places(key):
    places = [sorted(name for _, name, _, _ in string.Formatter().parse(text) if name) for text in PROOF_MESSAGES[key]]
    assert places[0] == places[1]
