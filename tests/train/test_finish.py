"""What finish.py promises: the model folder holds the weights and the score of all held-out text, and is written once."""

import pytest
import torch
from safetensors.torch import load_file

from dozero.artifact import MANIFEST, open_artifact
from dozero.device import Device
from dozero.eval.likelihood import measure_surprise
from dozero.testing import tiny_config, tiny_dataset
from dozero.train.finish import finish
from dozero.train.loop import _open_session
from dozero.train.team import Team

CPU = Device("cpu", torch.float32, 1)


@pytest.fixture
def at_the_end(tmp_path):
    """A session and its dataset."""
    dataset, tokenizer = tiny_dataset(tmp_path / "dataset")
    (tmp_path / "run").mkdir()
    session, _ = _open_session(tiny_config(), dataset, tokenizer, tmp_path / "run", CPU, strict=False)
    session.state.step = session.state.schedule.total_steps
    session.state.tokens, session.state.seconds = 700, 1.5
    yield session, dataset
    for log in (session.metrics, session.samples, session.timings):
        log.close()


def test_the_folder_holds_the_weights_and_the_score(at_the_end):
    session, dataset = at_the_end
    told = finish(session, dataset)
    assert told.heldout == measure_surprise(session.model, dataset.heldout)
    manifest = open_artifact(told.model, "model")
    assert (manifest.counts["step"], manifest.counts["tokens"], manifest.seconds) == (12, 700, 1.5)
    assert manifest.inputs == {"dataset": dataset.manifest.fingerprint}
    stored = load_file(told.model / "model.safetensors")
    for name, p in session.model.named_parameters():
        assert torch.equal(stored[name], p)
    assert f"{told.heldout.documents:,} documents it never saw" in (told.model / "README.md").read_text(
        encoding="utf-8"
    )


def test_a_finished_run_is_not_written_again(at_the_end):
    session, dataset = at_the_end
    told = finish(session, dataset)
    written = (told.model / MANIFEST).stat().st_mtime_ns
    assert finish(session, dataset) == told
    assert (told.model / MANIFEST).stat().st_mtime_ns == written
    session.state.step -= 1
    assert finish(session, dataset).step == told.step - 1
    assert (told.model / MANIFEST).stat().st_mtime_ns != written, "another step is another model"


def test_followers_go_home_before_the_leader_scores_alone(at_the_end):
    session, dataset = at_the_end
    session.team = Team(slots=2)
    finish(session, dataset)
    assert not session.team.is_at_work
