"""The two traces that the course walks: how many files of the source one training step and one token run through."""

import sys
from pathlib import Path

import pytest
import torch

import dozero
from dozero.device import Device
from dozero.generate.language_model import LanguageModel
from dozero.testing import tiny_config, tiny_dataset
from dozero.train.events import Stepped
from dozero.train.learner import build_model
from dozero.train.loop import train

SOURCE = Path(dozero.__file__).parent
DEVICE = Device("cpu", torch.float32, 1)
TRAINING_STEP = {
    *("train/loop.py", "dataset/batch.py", "train/step.py", "model/transformer.py", "train/loss.py", "train/optim.py"),
}
GENERATED_TOKEN = {
    *("generate/language_model.py", "generate/engine.py", "model/transformer.py", "generate/sample.py"),
    "tokenizer/stream.py",
}


def files_run(advance):
    """Return the files of dozero whose code runs during a call; what dataclasses generate stands in no file."""
    files = set()

    def note(frame, event, argument):
        if event == "call":
            files.add(frame.f_code.co_filename)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        advance()
    finally:
        sys.setprofile(before)
    return {str(Path(f).relative_to(SOURCE)) for f in files if Path(f).is_relative_to(SOURCE)}


def next_of(events, kind):
    return next(event for event in events if isinstance(event, kind))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny_dataset(tmp_path_factory.mktemp("data") / "dataset")


def test_a_training_step_runs_six_files(data, tmp_path):
    """From one Stepped to the next, on steps at which nothing is logged, evaluated, sampled or saved."""
    rarely = [f"train.{verb}_every=1000" for verb in ("log", "observe", "eval", "sample", "save")]
    events = train(tiny_config(*rarely), *data, tmp_path, DEVICE)
    next_of(events, Stepped)
    files = files_run(lambda: next_of(events, Stepped))
    assert files == TRAINING_STEP, sorted(files)
    events.close()


def test_a_generated_token_runs_five_files(data):
    dataset, tokenizer = data
    config = tiny_config()
    pieces = LanguageModel(build_model(config, dataset.vocab_size, DEVICE), tokenizer).stream(seed=1)
    next(pieces)
    files = files_run(lambda: next(pieces))
    assert files == GENERATED_TOKEN, sorted(files)
