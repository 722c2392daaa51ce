"""`dozero generate`: text by seed, side by side or alone the same, and the reason for every letter."""

import json
import re

import pytest
import torch
from typer.testing import CliRunner

from dozero.cli.generate import CANDIDATES_SHOWN
from dozero.cli.main import app
from dozero.config import load_config
from dozero.device import Device
from dozero.errors import ArtifactError, ConfigError, DataError
from dozero.pipeline.stages import Workspace, run_stages
from dozero.testing import tiny_workspace
from dozero.tokenizer.tokenizer import END_OF_TEXT


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A workspace with a finished run, in reading only."""
    file = tiny_workspace(tmp_path_factory.mktemp("finished"), "train.steps=40", "optim.adam_lr=0.03")
    *_, _finished = run_stages(load_config(file), Workspace(file.parent), Device("cpu", torch.float32, 1))
    return file.parent


def invoke(*arguments):
    return CliRunner().invoke(app, ["generate", *map(str, arguments)])


def generate(*arguments):
    """The lines of a call that must work."""
    ran = invoke(*arguments)
    assert ran.exit_code == 0, ran.output
    assert ran.stderr == ""
    return ran.stdout.splitlines()


def generate_json(*arguments):
    return [json.loads(line) for line in generate(*arguments, "--json")]


def test_the_same_seed_gives_the_same_text_and_another_seed_another(root):
    assert generate(root) == generate(root, "--seed", 0)
    assert len({generate(root, "--seed", seed)[0] for seed in range(20)}) > 10


def test_many_texts_are_those_of_the_seeds_that_follow(root):
    alone = [generate(root, "--seed", seed)[0] for seed in range(5, 9)]
    assert generate(root, "-n", 4, "--seed", 5) == alone
    assert generate_json(root, "-n", 4, "--seed", 5) == [
        {"text": text, "seed": seed} for seed, text in enumerate(alone, 5)
    ]


def test_the_prompt_is_continued(root):
    for text in generate(root, "bade", "-n", 3):
        assert text.startswith("bade")
    assert [line["text"] for line in generate_json(root, "bade", "-n", 3)] == generate(root, "bade", "-n", 3)


def test_at_temperature_zero_there_is_one_text(root):
    assert len(set(generate(root, "--temperature", 0, "-n", 4))) == 1
    assert generate(root, "--temperature", 0) == generate(root, "--top-k", 1, "--seed", 7)


def test_a_path_may_be_a_workspace_a_run_a_checkpoint_or_a_model(root):
    run = root / "runs/main"
    places = (root, run, run / "model", run / "checkpoints/step-000040")
    assert len({generate(place, "--seed", 3)[0] for place in places}) == 1


def test_the_runs_own_settings_hold_and_options_go_over_them(root):
    assert max(len(text) for text in generate(root, "-n", 30)) == 8, "generate.max_tokens of the run"
    assert max(len(text) for text in generate(root, "-n", 30, "--max-tokens", 3)) == 3


WHY = re.compile(r"^(\S+) +([\d.]+)% +([\d.]+)% +([\d.]+) bits +(.*)$")


@pytest.mark.parametrize("prompt", ["", "ba"])
def test_why_shows_for_each_letter_its_chance_and_the_others(root, prompt):
    text = generate(root, prompt, "--seed", 2)[0]
    head, *lines = generate(root, prompt, "--seed", 2, "--why")
    assert "token" in head
    chosen = []
    while WHY.match(lines[0]):
        letter, chance, after, doubt, others = WHY.match(lines.pop(0)).groups()
        chosen.append(letter)
        assert 0 <= float(chance) <= 100
        assert 0 <= float(after) <= 100
        assert 0 <= float(doubt) <= 4
        assert CANDIDATES_SHOWN - 1 <= others.count("%") <= CANDIDATES_SHOWN
        assert not [other for other in others.split("  ") if other.split()[0] == letter]
    assert prompt + "".join(letter for letter in chosen if letter != END_OF_TEXT) == text
    assert lines == [f"= {text}", ""]


def test_why_as_json_is_a_line_for_each_letter(root):
    (told,) = generate_json(root, "--seed", 2)
    choices = generate_json(root, "--seed", 2, "--why")
    assert "".join(c["chosen"]["text"] for c in choices if not c["chosen"]["is_end"]) == told["text"]
    for choice in choices:
        assert 0 < choice["chosen"]["probability"] <= 1
        assert len(choice["candidates"]) == CANDIDATES_SHOWN
        chances = [c["probability"] for c in choice["candidates"]]
        assert chances == sorted(chances, reverse=True)


def test_why_at_temperature_zero_leaves_one_candidate(root):
    for choice in generate_json(root, "--temperature", 0, "--why"):
        assert choice["chosen"] == choice["candidates"][0]
        assert [c["after_rules"] for c in choice["candidates"]] == [1, 0, 0, 0, 0]


def test_why_speaks_both_languages(root, monkeypatch):
    english = generate(root, "--why")
    monkeypatch.setenv("LC_ALL", "pt_BR.UTF-8")
    portuguese = generate(root, "--why")
    assert "letra" in portuguese[0]
    assert english[1:] == portuguese[1:]


@pytest.mark.parametrize(
    ("arguments", "kind", "told"),
    [
        (["xyz"], DataError, "characters that the model never saw; expected .*'abdeilmnorsu'; got 'xyz'"),
        (["ba" * 8], DataError, "prompt is longer than the context; expected 14 tokens or fewer; got 16"),
        (["--temperature", "-1"], ConfigError, r"generate\.temperature: .*got -1"),
        (["--temperature", "nan"], ConfigError, r"generate\.temperature: .*got nan"),
        (["--top-k", "-1"], ConfigError, r"generate\.top_k: .*got -1"),
        (["--top-p", "0"], ConfigError, r"generate\.top_p: .*got 0"),
        (["--min-p", "2"], ConfigError, r"generate\.min_p: .*got 2"),
        (["--max-tokens", "0"], ConfigError, r"generate\.max_tokens: .*got 0"),
    ],
)
@pytest.mark.parametrize("mode", [[], ["--json"], ["--why"]])
def test_a_mistake_is_told_before_anything_is_printed(root, arguments, kind, told, mode):
    ran = invoke(root, *arguments, *mode)
    assert isinstance(ran.exception, kind)
    assert re.search(told, str(ran.exception))
    assert ran.stdout == ""


def test_a_path_without_a_model_is_refused(root, tmp_path):
    for place, told in ((tmp_path / "nowhere", "no such folder"), (tmp_path, "holds no model yet")):
        ran = invoke(place)
        assert isinstance(ran.exception, ArtifactError)
        assert told in str(ran.exception)
