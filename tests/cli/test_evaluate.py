"""`dozero eval`: measured, kept, put into report and card; what cannot be asked is one line."""

import json
import re
import shutil

import pytest
import torch
from typer.testing import CliRunner

from dozero.artifact import open_artifact
from dozero.cli.evaluate import SAMPLES
from dozero.cli.main import app
from dozero.config import load_config
from dozero.dataset.shards import open_dataset
from dozero.device import Device
from dozero.errors import ArtifactError, ConfigError, DataError
from dozero.eval.exams import heldout_task
from dozero.eval.likelihood import measure_surprise
from dozero.eval.task import list_tasks
from dozero.generate.language_model import LanguageModel
from dozero.pipeline.report import describe
from dozero.pipeline.stages import Workspace, prepared, run_stages
from dozero.testing import WORDS, tiny_workspace
from dozero.tokenizer.files import open_tokenizer
from dozero.train.card import CARD
from dozero.train.report import write_run_report

CPU = Device("cpu", torch.float32, 1)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A workspace with a finished run and its report, in reading only."""
    file = tiny_workspace(tmp_path_factory.mktemp("finished"), "train.steps=40", "optim.adam_lr=0.03")
    workspace = Workspace(file.parent)
    for _ in run_stages(load_config(file), workspace, CPU):
        pass
    write_run_report(workspace.run, CPU, "en", "dozero train run.toml")
    return file.parent


@pytest.fixture
def root(finished, tmp_path):
    """A copy of it that a test may add to."""
    shutil.copytree(finished, tmp_path / "ws")
    return tmp_path / "ws"


def invoke(*arguments):
    return CliRunner().invoke(app, ["eval", *map(str, arguments)])


def evaluate(*arguments):
    ran = invoke(*arguments)
    assert ran.exit_code == 0, ran.output
    return ran.stdout


def evaluate_json(*arguments):
    return [json.loads(line) for line in evaluate(*arguments, "--json").splitlines()]


def write_task(folder, toml, *items, name="mine"):
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.toml").write_text(f"[task]\n{toml}\n", encoding="utf-8")
    (folder / f"{name}.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")
    return folder / f"{name}.toml"


@pytest.mark.no_cover
def test_without_a_task_the_held_out_text_pairs_and_samples_are_measured_kept_and_reported(root):
    report = root / "runs/main/report.md"
    assert "None yet: `dozero eval" in report.read_text(encoding="utf-8")
    told = evaluate(root)
    assert re.search(r"^heldout  \d+ items", told, re.MULTILINE)
    assert "pairs-en: not measured" in told, "words of six syllables have no capitals"
    assert f"samples  {SAMPLES} items" in told
    page = report.read_text(encoding="utf-8")
    assert "None yet" not in page
    assert "| heldout (" in page
    assert "| heldout (" in (root / "runs/main/model" / CARD).read_text(encoding="utf-8")
    open_artifact(root / "runs/main/model", "model")
    assert open_artifact(root / "runs/main/evaluations/heldout", "evaluation").counts["items"] > 0


def test_the_bits_of_the_held_out_text_are_those_of_training(root):
    (result,) = evaluate_json(root, "heldout")
    assert result["event"] == "Evaluated"
    workspace = Workspace(root)
    heldout = prepared(load_config(root / "run.toml"), workspace).dataset.heldout
    surprise = measure_surprise(LanguageModel.open(workspace.run / "model").model, heldout)
    measured = {m["name"]: m["value"] for m in result["measures"]}
    assert measured["bits_per_byte_with_ends"] == pytest.approx(surprise.bits_per_byte, rel=1e-4)
    assert measured["perplexity"] == pytest.approx(2.718281828**surprise.nats_per_token, rel=1e-4)


def test_what_it_copied_is_told_with_document_and_licence(root, tmp_path):
    (result,) = [e for e in evaluate_json(root, "heldout", "--samples", 8) if e.get("task") == "samples"]
    items = (root / "runs/main/evaluations/samples/items.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["text"] for line in items]
    dataset, (tokenizer, _) = open_dataset(root / "work/dataset"), open_tokenizer(root / "work/tokenizer")
    learned = set(WORDS) - {item["text"] for item in heldout_task(dataset, tokenizer, 0).items}
    whole = sum(text in learned for text in texts) / len(texts)
    assert {m["name"]: m["value"] for m in result["measures"]}["whole_copies"] == whole
    assert result["details"]["documents"] < len(WORDS), "held-out words are nothing to learn by heart"


def test_a_task_file_is_asked_and_a_limit_says_of_how_many(root, tmp_path):
    items = [{"q": word[:2], "choices": [word[2:], word[2:4] * 2], "answer": 0} for word in WORDS[:30]]
    task = write_task(tmp_path / "tasks", 'kind = "choice"\nprompt = "{q}"\njoin = ""', *items)
    (result,) = evaluate_json(root, task)
    assert (result["task"], result["items"], result["of_items"]) == ("mine", 30, 30)
    assert result["measures"][0]["chance"] == 0.5
    assert "mine  10 of 30 items" in evaluate(root, task, "--limit", 10)


def test_figures_stay_the_same_from_run_to_run(root):
    def figures():
        return [(e["task"], e["measures"], e["details"]) for e in evaluate_json(root, "heldout", "--samples", 5)]

    assert figures() == figures()


@pytest.mark.no_cover
def test_a_model_folder_alone_is_measured_beside_itself(root, tmp_path):
    shutil.copytree(root / "runs/main/model", tmp_path / "alone")
    task = write_task(tmp_path / "tasks", 'kind = "text"', *({"text": word} for word in WORDS[:9]))
    evaluate(tmp_path / "alone", task)
    open_artifact(tmp_path / "alone-evaluations" / "mine", "evaluation")
    told = evaluate(tmp_path / "alone", "--samples", 3)
    assert "the text this model learned from is no longer here" in told


def test_an_evaluation_explains_itself_to_inspect(root):
    evaluate(root, "heldout")
    tree = describe(root / "runs/main/evaluations/heldout")
    assert "evaluation" in json.dumps(tree, default=str)


@pytest.mark.parametrize("lang", ["pt_BR.UTF-8", "en_US.UTF-8"])
def test_the_tasks_that_come_along_are_listed(lang, monkeypatch):
    monkeypatch.setenv("LC_ALL", lang)
    told = evaluate("--list")
    assert [line.split()[0] for line in told.splitlines()] == [*list_tasks(), "pairs-pt", "pairs-en"]
    assert ("pares mínimos" in told) == lang.startswith("pt")
    assert [e["name"] for e in evaluate_json("--list")] == [*list_tasks(), "pairs-pt", "pairs-en"]


def test_it_speaks_portuguese(root, monkeypatch):
    monkeypatch.setenv("LC_ALL", "pt_BR.UTF-8")
    told = evaluate(root, "heldout")
    assert "bits por byte (menos é melhor)" in told
    assert "guardado em" in told


@pytest.mark.parametrize(
    ("arguments", "error", "what"),
    [
        ((), ConfigError, "no model given"),
        (("nowhere",), ArtifactError, "nowhere: no such folder"),
        (("ROOT", "heldou"), ConfigError, "heldou: unknown task, did you mean heldout"),
        (("ROOT", "sentimento"), ConfigError, "unknown task, did you mean sentimento-pt"),
        (("ROOT", "gone.toml"), ConfigError, "gone.toml: no such task file"),
        (("ROOT", "somas"), DataError, "characters that the model never saw"),
        (("ROOT", "BROKEN"), ConfigError, "broken.toml: not valid TOML"),
        (("ROOT", "heldout", "--samples", 2, "--against", "nowhere"), ArtifactError, "nowhere"),
    ],
)
def test_what_cannot_be_asked_is_one_line_and_nothing_is_kept(arguments, error, what, root, tmp_path):
    broken = tmp_path / "broken.toml"
    broken.write_text("[task\n")
    ran = invoke(*({"ROOT": root, "BROKEN": broken}.get(a, a) for a in arguments))
    assert isinstance(ran.exception, error), ran.output
    assert re.search(what, str(ran.exception)), str(ran.exception)
    assert "\n" not in str(ran.exception)
    assert not (root / "runs/main/evaluations").exists()
