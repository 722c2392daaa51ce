"""`dozero export`: what is written, how to run it, and whether it is the same there."""

import json

import pytest
import torch
from typer.testing import CliRunner

from dozero.cli.main import app
from dozero.config import load_config
from dozero.device import Device
from dozero.errors import ArtifactError, ConfigError, ModelMismatch
from dozero.interop import verify as module
from dozero.interop.ollama import chatml
from dozero.interop.verify import Parity
from dozero.pipeline.stages import Workspace, run_stages
from dozero.testing import tiny_workspace


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A workspace with a finished run."""
    file = tiny_workspace(tmp_path_factory.mktemp("finished"), "train.steps=40", "optim.adam_lr=0.03")
    *_, _finished = run_stages(load_config(file), Workspace(file.parent), Device("cpu", torch.float32, 1))
    return file.parent


def invoke(*arguments):
    return CliRunner().invoke(app, ["export", *map(str, arguments)])


@pytest.mark.parametrize("to", ["hf", "gguf", "onnx", "ollama"])
def test_a_trained_model_computes_the_same_in_the_program_it_was_exported_for(root, to):
    ran = invoke(root, "--to", to, "--type", "f32", "--verify", "--json")
    assert ran.exit_code == 0, ran.output
    told = json.loads(ran.stdout)
    assert told["folder"] == str(root / "runs/main/model/export" / f"{to}-f32")
    parity = told["parity"]
    assert parity["holds"]
    assert (parity["same_text"], parity["same_ids"], parity["prompts"]) == (20, 20, 20)
    assert 0 < parity["largest_logit_difference"] < parity["bar"]


def test_the_figures_and_how_to_run_it_are_told_in_both_languages(root, monkeypatch):
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")
    ran = invoke(root, "--verify", "--prompts", 4)
    assert ran.exit_code == 0, ran.output
    lines = ran.stdout.splitlines()
    assert lines[0].startswith("made: ")
    assert lines[0].endswith("MB)")
    assert "run it with: llama-cli -m " in lines[1]
    assert "checked in llama.cpp: largest logit difference " in lines[2]
    assert lines[2].endswith("(that of the format f16)")
    assert "after 4 of 4 beginnings" in lines[3] or "of 4 beginnings" in lines[3]
    assert lines[4:] == ["the same tokens in 4 of 4 beginnings", "the model has no chat template"]
    monkeypatch.setenv("LC_ALL", "pt_BR.UTF-8")
    portuguese = invoke(root, "--to", "ollama").stdout.splitlines()
    assert portuguese[0].startswith("feito: ")
    assert portuguese[1].startswith("rode com: ollama create ")
    assert f"ollama run {root.name}" in portuguese[1]


def faulty(**changes):
    given = {"engine": "llama.cpp", "type": "f32", "largest_logit_difference": 1e-5, "bar": 1e-2, "prompts": 2,
             "same_text": 2, "tokens": 9, "same_tokens": 9, "same_ids": 2, "chat": None}  # fmt: skip
    return Parity(**(given | changes))


@pytest.mark.parametrize("changes", [{"largest_logit_difference": 0.02}, {"same_ids": 1}, {"chat": ("[a]", "[b]")}])
def test_a_difference_is_shown_and_ends_in_an_error(root, changes, monkeypatch):
    monkeypatch.setattr(module, "verify", lambda *_: faulty(**changes))
    ran = invoke(root, "--verify")
    assert isinstance(ran.exception, ModelMismatch)
    assert "llama.cpp does not compute what dozero computes" in str(ran.exception)
    if "chat" in changes:
        assert ran.stdout.splitlines()[-4:] == ["the chat, here:", "  [a]", "the chat, in llama.cpp:", "  [b]"]


def test_a_chat_that_is_the_same_is_shown_once(root, monkeypatch):
    text = chatml([{"role": "user", "content": "[bold]oi[/]"}])
    monkeypatch.setattr(module, "verify", lambda *_: faulty(chat=(text, text)))
    lines = invoke(root, "--verify").stdout.splitlines()
    assert lines[-4:] == ["the same chat, equal in llama.cpp:", *(f"  {line}" for line in text.splitlines())]


@pytest.mark.parametrize(
    ("arguments", "kind", "told"),
    [
        (["--to", "pickle"], ConfigError, "no such form"),
        (["--to", "onnx", "--type", "q8_0"], ConfigError, "not a number format of onnx"),
    ],
)
def test_mistakes_are_told_before_anything_is_written(root, arguments, kind, told):
    ran = invoke(root, *arguments)
    assert isinstance(ran.exception, kind)
    assert told in str(ran.exception)
    assert ran.stdout == ""


def test_a_path_without_a_model_is_refused(tmp_path):
    assert isinstance(invoke(tmp_path / "nowhere").exception, ArtifactError)


def test_an_export_goes_where_it_is_asked_to(root, tmp_path):
    ran = invoke(root, "-o", tmp_path / "there", "--type", "q8_0", "--json")
    assert json.loads(ran.stdout)["file"] == str(tmp_path / "there" / f"{root.name}-q8_0.gguf")
    assert (tmp_path / "there" / f"{root.name}-q8_0.gguf").is_file()
