"""From words to a model that others open: the command line in processes of its own, and transformers on its folder."""

import json
import re

import pytest
from typer.testing import CliRunner

from dozero.cli.main import app
from dozero.testing import WORDS, tiny_workspace


@pytest.fixture(scope="module")
def trained(tmp_path_factory, run_dozero):
    """A workspace that `dozero run` brought up to date."""
    file = tiny_workspace(
        tmp_path_factory.mktemp("ws"), "train.steps=80", "optim.adam_lr=0.03", "generate.max_tokens=12"
    )
    ran = run_dozero("run", file)
    assert ran.returncode == 0, ran.stderr
    return file.parent


def dozero(*arguments):
    """What a command says on stdout and stderr, in this process: starting one costs two seconds."""
    ran = CliRunner().invoke(app, [*map(str, arguments)])
    assert ran.exit_code == 0, ran.output
    return ran.output


def test_transformers_opens_the_model_folder_and_writes_the_same(trained, run_dozero):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    folder = trained / "runs/main/model"
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    said = {}
    for prompt in ("", "ba", "nu", "mode"):
        said[prompt] = json.loads(dozero("generate", trained, prompt, "--temperature", 0, "--json"))["text"]
        ids = torch.tensor([[tokenizer.bos_token_id, *tokenizer(prompt, add_special_tokens=False)["input_ids"]]]).long()
        written = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=12)
        assert tokenizer.decode(written[0], skip_special_tokens=True) == said[prompt]
    assert len(set(said.values())) > 1, "the model has learned to tell prompts apart"
    assert all(text.startswith(prompt) for prompt, text in said.items())
    assert run_dozero("generate", trained, "ba", "--temperature", 0).stdout == said["ba"] + "\n"


def test_the_run_can_be_inspected_and_repeated(trained, tmp_path):
    facts = json.loads(dozero("inspect", trained, "--json"))
    assert facts["runs"]["main"]["finished"]
    assert facts["runs"]["main"]["step"] == 80
    resolved = trained / "runs/main/run.toml"
    again = tmp_path / "again"
    again.mkdir()
    (again / "run.toml").write_bytes(resolved.read_bytes())
    dozero("run", again / "run.toml")
    weights = "runs/main/model/model.safetensors"
    assert (again / weights).read_bytes() == (trained / weights).read_bytes(), "the resolved file repeats the run"


def test_hello_tells_its_story_in_two_languages_line_by_line(tmp_path):
    told = {}
    for lang in ("pt", "en"):
        folder = tiny_workspace(tmp_path / lang, f"data.lang={lang}", words=(*WORDS, "a", "x1")).parent
        told[lang] = dozero("hello", "--out", folder, "--lang", lang).splitlines()
    portuguese, english = told["pt"], told["en"]
    assert len(portuguese) == len(english)
    for ours, theirs in zip(portuguese, english, strict=True):
        assert bool(ours) == bool(theirs)
        assert len(ours) - len(ours.lstrip()) == len(theirs) - len(theirs.lstrip())
    assert [re.findall(r"^\d  ", line) for line in portuguese] == [re.findall(r"^\d  ", line) for line in english]
    assert sum(ours != theirs for ours, theirs in zip(portuguese, english, strict=True)) > 20
