"""What rerun.py promises: the copy that its arguments name, told as it goes, and one line when it cannot be."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dozero.config import to_toml
from dozero.pipeline.rerun import main
from dozero.pipeline.stages import Workspace, prepared
from dozero.testing import tiny_config, tiny_workspace
from dozero.train.checkpoint import list_checkpoints


@pytest.fixture
def workspace(tmp_path):
    tiny_workspace(tmp_path)
    prepared(tiny_config(f"data.source={tmp_path / 'words.txt'}"), Workspace(tmp_path))
    run = tmp_path / "copy"
    run.mkdir()
    (run / "given.toml").write_text(to_toml(tiny_config()), encoding="utf-8")
    return Workspace(tmp_path), run


def test_it_tells_start_steps_and_saves_and_ends_when_the_last_is_saved(workspace, capsys):
    place, run = workspace
    main([str(run), str(place.dataset), str(place.tokenizer)])
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert told[0] == {"event": "Started", "step": 0}
    assert told[-1] == {"event": "Saved", "step": 12}
    assert [line["step"] for line in told if line["event"] == "Stepped"] == list(range(1, 13))
    assert list_checkpoints(run)[0].name == "step-000012"
    assert not (run / "model").exists(), "the exam of all held-out text is not what is asked for"


def test_what_cannot_be_is_one_line(workspace, monkeypatch):
    place, run = workspace
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[2] / "src"))
    command = [sys.executable, "-m", "dozero.pipeline.rerun", str(run), str(run), str(place.tokenizer)]
    ran = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=120)
    assert ran.returncode == 1
    assert ran.stderr.count("\n") == 1
    assert "not an artifact of dozero" in ran.stderr
