"""The model card says what the manifest says, and takes evaluations up without a moment in which the folder is not whole."""

import pytest
import torch

from dozero.artifact import Manifest, open_artifact
from dozero.device import Device
from dozero.eval.results import Result
from dozero.eval.surprise import Surprise
from dozero.testing import tiny_config, tiny_dataset
from dozero.train.card import model_card, update_card
from dozero.train.loop import train

RESULTS = [
    Result("quiz", "choice", "pt", "own", 40, 40, [{"name": "accuracy", "value": 0.75, "low": 0.7, "high": 0.8}])
]


@pytest.fixture
def folder(tmp_path):
    for _ in train(
        tiny_config(), *tiny_dataset(tmp_path / "dataset"), tmp_path / "main", Device("cpu", torch.float32, 1)
    ):
        pass
    return tmp_path / "main" / "model"


def test_the_card_names_source_licence_and_score():
    manifest = Manifest(
        kind="model",
        counts={"step": 1200, "tokens": 34567, "vocab_size": 40},
        about={"source": "wordfreq pt", "licence": "CC BY-SA 4.0", "language": "pt"},
        inputs={"dataset": "abcdef0123456789ff"},
        seconds=41.4,
    )
    heldout = Surprise(nats=693.147, tokens=250, documents=100, characters=500, bytes=400)
    card = model_card(manifest, heldout, RESULTS)
    for fact in (
        "wordfreq pt",
        "CC BY-SA 4.0",
        "1,200 steps",
        "34,567 tokens",
        "2.0000 bits",
        "2.5000 bits",
        "2.7726 nats a token",
        "language: pt",
        "Tokenizer: char, 40 tokens",
        "41 s at 30 W. The watts are an assumption",
        "| quiz (40) | accuracy | 75.0% | 70.0% – 80.0% |",
        "Seed 0; dataset `abcdef0123456789`",
    ):
        assert fact in card


def test_evaluations_enter_the_card_and_the_folder_stays_whole(folder):
    before = {p.name: p.read_bytes() for p in folder.iterdir() if p.name not in ("README.md", "manifest.json")}
    old = open_artifact(folder, "model")
    assert update_card(folder, RESULTS)
    manifest = open_artifact(folder, "model")
    assert {p.name: p.read_bytes() for p in folder.iterdir() if p.name not in ("README.md", "manifest.json")} == before
    assert "| quiz (40) | accuracy | 75.0%" in (folder / "README.md").read_text(encoding="utf-8")
    assert (manifest.inputs, manifest.config, manifest.counts) == (old.inputs, old.config, old.counts)
    assert (manifest.seconds, manifest.versions) == (old.seconds, old.versions)
    assert update_card(folder, [])
    assert open_artifact(folder, "model").files == old.files  # as finish wrote it


def test_a_card_that_somebody_changed_is_left_alone(folder):
    (folder / "README.md").write_text("mine", encoding="utf-8")
    assert not update_card(folder, RESULTS)
    assert (folder / "README.md").read_text(encoding="utf-8") == "mine"
