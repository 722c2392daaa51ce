"""What findings.py promises: every finding in two languages with the same places, and commands that can be run."""

import ast
import dataclasses
import json
import math
import shlex
import string
from pathlib import Path

import pytest

from dozero.config import load_config
from dozero.testing import tiny_config
from dozero.train import diagnose as diagnosis
from dozero.train.diagnose import Finding, diagnose
from dozero.train.findings import TEXT, finding_tree, layer_name, tell_finding
from dozero.train.run_facts import RunFacts

LOSSES = [
    {"step": s, "loss": 3 - s / 50, "grad_norm": 1.0, "lr_scale": 1.0, "tokens": 100 * s} for s in range(1, 101, 5)
]


@pytest.fixture
def facts(tmp_path):
    return RunFacts(tmp_path / "ws" / "runs" / "main", tiny_config(), {"vocab_size": 30}, LOSSES)


def places(text):
    return sorted(name for _, name, _, _ in string.Formatter().parse(text) if name is not None)


@pytest.mark.parametrize("key", TEXT)
def test_both_languages_have_the_same_places(key):
    for portuguese, english in TEXT[key]:
        assert portuguese.strip()
        assert english.strip()
        assert places(portuguese) == places(english)


def test_every_finding_that_can_be_made_has_words_and_no_other_has():
    tree = ast.parse(Path(diagnosis.__file__).read_text(encoding="utf-8"))
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "Finding"]
    assert {call.args[0].value for call in calls} == TEXT.keys()


@pytest.mark.parametrize("lang", ["pt", "en"])
def test_a_finding_is_told_with_its_numbers_as_the_language_writes_them(lang, facts):
    numbers = {"documents": 1234, "epochs": 56.78, "most": 4}
    told = tell_finding(Finding("data_starved", "note", numbers), facts, lang)
    assert ("1.234" in told.evidence, "56,8" in told.evidence) == (lang == "pt", lang == "pt")
    assert ("1,234" in told.evidence, "56.8" in told.evidence) == (lang == "en", lang == "en")
    assert told.command == ""


def test_what_was_not_measured_is_said_so(facts):
    told = tell_finding(Finding("well", "well", {"first": 3.0, "last": 1.0, "heldout": math.nan}), facts, "en")
    assert told.evidence == "the loss fell from 3.000 to 1.000; held out it is not measured"
    tree = finding_tree(Finding("well", "well", {"first": 3.0, "last": 1.0, "heldout": math.nan}), facts, "en")
    assert json.loads(json.dumps(tree, allow_nan=False))["numbers"]["heldout"] is None


def test_the_command_changes_just_what_the_finding_says_and_keeps_the_run(facts):
    facts.path.mkdir(parents=True)
    (facts.path / "run.toml").write_text("seed = 3\n")
    change = ("optim.muon_lr=0.01", "optim.adam_lr=0.002")
    command = tell_finding(Finding("rate_high", "problem", dict.fromkeys(
        ("step", "ratio", "usual", "stream", "spikes", "muon_lr", "adam_lr"), 1), change), facts, "en").command  # fmt: skip
    words = shlex.split(command)
    assert words[:2] == ["dozero", "train"]
    assert words[-2:] == ["--name", "calmer"]
    config = load_config(words[2], words[3:-2])
    assert (config.seed, config.optim.muon_lr, config.optim.adam_lr) == (3, 0.01, 0.002)
    (facts.path.parent / "calmer").mkdir()
    again = tell_finding(Finding("spikes", "problem", dict.fromkeys(
        ("spikes", "before", "after", "step", "muon_lr", "adam_lr"), 1), change), facts, "en").command  # fmt: skip
    assert again.endswith("--name calmer-2"), "no run that is there is touched"


def test_settings_are_shown_as_one_types_them(facts):
    numbers = {"spikes": 2, "before": 1.5, "after": 3.5, "step": 7, "muon_lr": 0.3, "adam_lr": 0.1}
    told = tell_finding(Finding("spikes", "problem", numbers), facts, "pt")
    assert "muon_lr 0.3" in told.evidence
    assert "1,50" in told.evidence


def test_layers_have_names_in_both_languages():
    assert layer_name("embedding", "pt") == "embedding"
    assert layer_name("head", "pt") == "saída"
    assert layer_name("layer 12 mlp", "pt") == "camada 12, MLP"


def test_findings_of_real_facts_can_be_told(facts):
    for lang in ("pt", "en"):
        for finding in diagnose(dataclasses.replace(facts, diverged={"step": 9, "diverged": "loss nan"})):
            assert "{" not in str(tell_finding(finding, facts, lang))
