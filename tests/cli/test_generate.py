"""`dozero generate`: text by seed, side by side or alone the same, and the reason for every letter."""

import json
import re

import pytest
import torch
from typer.testing import CliRunner

from dozero.cli.generate_view import CANDIDATES_SHOWN
from dozero.cli.main import app
from dozero.config import load_config
from dozero.device import Device
from dozero.errors import ArtifactError, ConfigError, DataError, DozeroError
from dozero.generate.language_model import LanguageModel
from dozero.pipeline.stages import Workspace, generate_settings, run_stages
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
    told = generate_json(root, "-n", 4, "--seed", 5)
    assert [(line["text"], line["seed"]) for line in told] == list(zip(alone, range(5, 9), strict=True))
    assert {line["event"] for line in told} == {"Generated"}


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
    assert max(len(text) for text in generate(root, "-n", 300)) == 8, "generate.max_tokens of the run"
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


def test_why_names_the_rule_that_cut_a_candidate(root):
    lines = generate(root, "--why", "--top-k", 2, "--min-p", 0.9)
    assert any("✂top_k" in line and "cut: top_k 11" in line for line in lines)
    choice = generate_json(root, "--why", "--top-k", 2)[0]
    assert [c["cut_by"] for c in choice["candidates"]] == ["", "", "top_k", "top_k", "top_k"]
    assert choice["cuts"] == {"top_k": 11}


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
        (["--repetition-penalty", "0"], ConfigError, r"generate\.repetition_penalty: .*got 0"),
        (["--frequency-penalty", "nan"], ConfigError, r"generate\.frequency_penalty: .*got nan"),
        (["--logit-bias", "a=1"], ConfigError, "logit_bias is written id=number, such as 12=-5, not 'a=1'"),
        (["--logit-bias", "99=1"], DataError, "logit_bias names no token of this model"),
        (["--stop", ""], ConfigError, "empty string"),
        (["--precision", "int3"], ConfigError, "--precision: unknown name; expected float32 or int8; got 'int3'"),
        (["--engine", "vllm"], ConfigError, "--engine: unknown name; expected dozero or llamacpp; got 'vllm'"),
        (["--json-schema", "nowhere.json"], ConfigError, "nowhere.json: schema cannot be read"),
        (["--prompts-file", "nowhere.txt"], DataError, "nowhere.txt: prompts cannot be read"),
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


# --- rules, forms and files ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--beams", 2, "-n", 3], "--count: more texts than beams; expected 2 or fewer; got 3"),
        (["--beams", 2, "--compare", "greedy"], "--beams --compare: options that do not go together"),
        (["--compare", "greddy"], "--compare: no such rule; .*got 'greddy'. Try: greedy"),
        (["--compare", "t=hot"], "--compare: not a value; expected a number; got 't=hot'"),
        (["--compare", "top_k=1.5"], "--compare: not a value; expected a whole number"),
        (["--compare", "top_p=7"], r"generate\.top_p: .*got 7"),
        (["--compare", ","], "--compare: names no rule"),
        (["--engine", "llamacpp"], "holds no GGUF file"),
        (["--engine", "llamacpp", "--why"], "llama.cpp does the writing"),
    ],
)
def test_options_that_cannot_be_are_told_in_one_line(root, arguments, told):
    ran = invoke(root, *arguments)
    assert isinstance(ran.exception, DozeroError), ran.output
    assert re.search(told, str(ran.exception))
    assert ran.stdout == ""


def test_penalties_biases_and_stop_strings_hold(root):
    free = generate(root, "-n", 20)
    assert any("a" in text for text in free)
    (ida,) = {c["id"] for line in generate_json(root, "--why", "-n", 9) for c in line["candidates"] if c["text"] == "a"}
    assert not any("a" in text for text in generate(root, "-n", 20, "--logit-bias", f"{ida}=-100"))
    assert generate(root, "-n", 20, "--stop", "a") == [text.split("a")[0] for text in free]
    assert max(len(set(t)) / len(t) for t in generate(root, "-n", 20, "--frequency-penalty", 50) if t) == 1


def test_guesses_and_the_decoder_change_nothing(root):
    assert generate(root, "-n", 20, "--speculate", 4) == generate(root, "-n", 20)
    model = LanguageModel.open(root / "runs/main/model")
    config = generate_settings(root / "runs/main/model", {})
    assert [model.generate("ba", config, seed) for seed in range(20)] == generate(root, "ba", "-n", 20)


def test_prompts_of_a_file_are_each_continued(root, tmp_path):
    lines, records = tmp_path / "prompts.txt", tmp_path / "prompts.jsonl"
    lines.write_text("ba\n\nmoli\n")
    records.write_text('{"prompt": "ba"}\n{"prompt": ""}\n\n{"prompt": "moli"}\n')
    alone = [generate(root, prompt, "--seed", seed)[0] for prompt in ("ba", "", "moli") for seed in (3, 4)]
    for file in (lines, records):
        assert generate(root, "--prompts-file", file, "-n", 2, "--seed", 3) == alone
    told = generate_json(root, "--prompts-file", lines)
    assert [line["prompt"] for line in told] == ["ba", "", "moli"]
    records.write_text('{"prompt": 3}\n')
    assert "prompts.jsonl:1: not a prompt" in str(invoke(root, "--prompts-file", records).exception)


def test_json_tells_the_end_and_the_logarithms(root):
    (told,) = generate_json(root, "--max-tokens", 2, "--logprobs", 2)
    assert (told["finish"], told["tokens"], len(told["logprobs"])) == ("length", 2, 2)
    for token in told["logprobs"]:
        assert token["logprob"] <= token["top"][0]["logprob"] <= 0
        assert len(token["top"]) == 2
    (ended,) = generate_json(root, "--max-tokens", 12, "--temperature", 0)
    assert ended["finish"] == "stop"


def test_a_schema_is_kept_or_refused(root, tmp_path):
    file = tmp_path / "schema.json"
    file.write_text('{"type": "object"}')
    assert "cannot write what the schema asks for" in str(invoke(root, "--json-schema", file).exception)
    file.write_text('{"type": ')
    assert "not JSON" in str(invoke(root, "--json-schema", file).exception)


def test_beams_give_the_likeliest_texts_each_with_its_score(root):
    one = generate(root, "ba", "--beams", 4)
    told = generate_json(root, "ba", "--beams", 4, "-n", 3)
    assert [line["text"] for line in told][:1] == one
    assert [line["score"] for line in told] == sorted((line["score"] for line in told), reverse=True)
    shown = generate(root, "ba", "--beams", 4, "-n", 3)
    assert [line.split()[1] for line in shown] == [line["text"] for line in told]


def test_rules_side_by_side_are_measured(root, monkeypatch):
    told = generate_json(root, "--compare", "greedy,t=0.8,t=1.5+top_k=3", "-n", 10)
    assert [line["rule"] for line in told] == ["greedy", "t=0.8", "t=1.5+top_k=3"]
    greedy, _, wild = told
    assert len(set(greedy["texts"])) == 1 < len(set(wild["texts"]))
    assert greedy["distinct_2"] < wild["distinct_2"]
    assert wild["texts"] == generate(root, "--temperature", 1.5, "--top-k", 3, "-n", 10)
    english = generate(root, "--compare", "greedy,t=0.8")
    assert "repeated 4-grams" in "\n".join(english)
    monkeypatch.setenv("LC_ALL", "pt_BR.UTF-8")
    portuguese = generate(root, "--compare", "greedy,t=0.8")
    assert "4-gramas repetidos" in "\n".join(portuguese)
    for lines in (english, portuguese):
        assert any(line.split()[:1] == ["greedy"] for line in lines)


def test_int8_tells_what_it_costs(root, monkeypatch):
    told = invoke(root, "--precision", "int8")
    assert told.exit_code == 0, told.output
    assert re.search(r"int8: \d\.\d{4} bits per byte .* in float32 \d\.\d{4} \([+-]\d\.\d\d%\)", told.stderr)
    measured, _ = generate_json(root, "--precision", "int8")
    assert measured["bits_per_byte"] == pytest.approx(measured["float32_bits_per_byte"], rel=0.05)
    monkeypatch.setenv("LC_ALL", "pt_BR.UTF-8")
    assert "bits por byte em texto que o modelo não viu" in invoke(root, "--precision", "int8").stderr
