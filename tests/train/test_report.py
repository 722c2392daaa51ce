"""What report.py promises: a page whose every figure is that of the run, in both languages, pictures or not."""

import re
import shutil
import sys

import pytest
import torch

from dozero.device import Device
from dozero.errors import ArtifactError
from dozero.eval.surprise import Surprise
from dozero.measure import MachinePeak, MatmulSpeed
from dozero.testing import limit_file_size, tiny_config, tiny_dataset
from dozero.train.loop import train
from dozero.train.peak import keep_peak
from dozero.train.report import REPORT, write_run_report
from dozero.train.run_facts import read_facts

CPU = Device("cpu", torch.float32, 1)
COMMAND = "dozero hello --lang pt"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run, in reading only."""
    root = tmp_path_factory.mktemp("report")
    data = tiny_dataset(root / "dataset")
    for _ in train(tiny_config("train.observe_every=4"), *data, root / "main", CPU):
        pass
    return root / "main"


@pytest.fixture
def run(finished, tmp_path, monkeypatch):
    monkeypatch.setenv("DOZERO_CACHE", str(tmp_path / "cache"))
    return shutil.copytree(finished, tmp_path / "main")


def page_of(run, lang="en"):
    return write_run_report(run, CPU, lang, COMMAND).read_text(encoding="utf-8")


def test_the_figures_are_those_of_the_run(run):
    page, facts = page_of(run), read_facts(run)
    heldout = Surprise(**facts.manifest.about["heldout"])
    for fact in (
        f"{heldout.bits_per_byte:.4f} bits per byte",
        f"{heldout.nats_per_token:.4f} nats per token",
        f"{min(x['heldout_loss'] for x in facts.heldout):.4f} nats per token",
        f"A model of {facts.data['params']:,} parameters",
        *("made up", "CC0-1.0", "2 attention heads", "12, on "),
        f"{facts.epochs:.2f} times",
        facts.manifest.inputs["dataset"],
        COMMAND,
        f"torch {torch.__version__}",
        "not known: the peak of this machine",
    ):
        assert fact in page, fact
    for sample in facts.samples:
        assert f"step {sample['step']}:\n\n    {sample['text'].splitlines()[0] if sample['text'] else ''}" in page


def test_both_languages_tell_the_same_under_as_many_headings(run):
    english, portuguese = page_of(run, "en"), page_of(run, "pt")
    assert len(re.findall("^#+ ", english, re.M)) == len(re.findall("^#+ ", portuguese, re.M)) == 10
    figures = [re.findall(r"\d+[.,]\d{4}", page) for page in (english, portuguese)]
    assert [x.replace(",", ".") for x in figures[1]] == figures[0]
    assert "Diagnóstico" in portuguese
    assert "{" not in re.sub(r"    .*", "", english + portuguese), "nothing is left unfilled"


def test_its_pictures_exist_and_its_links_resolve(run):
    pytest.importorskip("matplotlib", reason="without it there are no pictures")
    page = page_of(run)
    links = re.findall(r"\]\(([^)]+)\)", page)
    assert {"plots/loss.png", "plots/learning.png", "run.toml"} == set(links)
    assert all((run / link).is_file() for link in links)


def test_the_diagnosis_stands_in_it_with_its_commands(run):
    page = page_of(run)
    assert "**all well**" in page
    assert "**there are few documents**" in page
    assert re.search(r"`dozero train .*train\.steps=24 --name longer`", page)


def test_the_use_of_the_machine_is_told_once_its_peak_is_known(run):
    keep_peak(CPU, MachinePeak("cpu", 1, (MatmulSpeed("float32", 1, 512, 1e6, 1e-7),), 1.0, 1))
    assert re.search(r"\| use of the machine \| \d\.\d%: \d+ of 1000000 GFLOP/s", page_of(run))
    keep_peak(
        Device("cpu", torch.float32, 7), MachinePeak("cpu", 7, (MatmulSpeed("float32", 7, 512, 1e-9, 1e-7),), 1.0, 1)
    )
    page = write_run_report(run, Device("cpu", torch.float32, 7), "en", COMMAND).read_text()
    assert "not known" in page, "a peak below what the run itself did is none"


def test_a_missing_library_of_plots_is_told_with_the_install_line(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert 'pip install "dozero[plots]"' in page_of(run)
    assert not (run / "plots").exists()


def test_a_broken_library_of_plots_costs_only_the_pictures(run, monkeypatch):
    pytest.importorskip("matplotlib", reason="there must be one to break")

    def broken(*arguments, **named):
        raise RuntimeError("another version")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", broken)
    page = page_of(run)
    assert "RuntimeError: another version" in page
    assert "![" not in page


def test_a_full_disk_is_one_error_and_leaves_the_model(run):
    before = (run / "model" / "model.safetensors").read_bytes()
    with limit_file_size(100), pytest.raises(ArtifactError, match="cannot be written"):
        page_of(run)
    assert not (run / REPORT).exists()
    assert (run / "model" / "model.safetensors").read_bytes() == before


def test_a_run_that_is_not_finished_can_be_reported_too(run):
    shutil.rmtree(run / "model")
    page = page_of(run)
    assert "the run is not finished" not in page, "its last step was made"
    assert "not measured" in page
