"""What the verbs that train share: settings, the stages shown, and a run that stops politely."""

import json
import signal
import sys

import pytest
import torch

from dozero.artifact import open_artifact
from dozero.cli.display import Display
from dozero.cli.session import open_job, prepare_and_show, ready_device, train_and_show
from dozero.config import load_config
from dozero.device import Device
from dozero.errors import ConfigError, Interrupted
from dozero.pipeline.stages import Workspace
from dozero.testing import tiny_workspace
from dozero.train.events import Stepped
from dozero.train.log import read_log

CPU = Device("cpu", torch.float32, 1)


class Interrupting(Display):
    """A display that sends this process a signal when it shows a step."""

    def __init__(self, lang, step, number):
        super().__init__(lang)
        self.step, self.number = step, number

    def show(self, event, indent=0):
        super().show(event, indent)
        if isinstance(event, Stepped) and event.step == self.step:
            signal.raise_signal(self.number)


@pytest.fixture
def file(tmp_path):
    return tiny_workspace(tmp_path / "ws")


def ready(file, display):
    job = open_job(file, [], "main", fresh=False)
    return job, prepare_and_show(display, job)


def test_settings_are_those_of_the_file_and_the_workspace_is_around_it(file):
    for named in (file, file.parent):
        job = open_job(named, ["train.steps=3"], "other", fresh=False)
        assert job.workspace == Workspace(file.parent, "other")
        assert job.config == load_config(file, ["train.steps=3"])
        assert job.begun is None
        assert not job.is_trained
        assert not job.workspace.run.exists()


def test_a_wrong_name_or_setting_is_told(file):
    with pytest.raises(ConfigError, match="not a run name"):
        open_job(file, [], "../x", fresh=False)
    with pytest.raises(ConfigError, match="did you mean steps"):
        open_job(file, ["train.stepz=1"], "main", fresh=True)


def test_the_device_of_the_settings_is_applied(file):
    device = ready_device(load_config(file, ["train.threads=1"]))
    assert (device.type, device.dtype, device.threads) == ("cpu", torch.float32, 1)
    assert torch.get_num_threads() == 1


def test_every_stage_is_shown_as_made_and_then_as_up_to_date(file, capsys):
    ready(file, Display("en"))
    assert [line.split(":")[1].split(" in ")[0] for line in capsys.readouterr().out.splitlines()] == [" made"] * 3
    ready(file, Display("en"))
    assert [line.split(" in ")[0].split(": ")[1] for line in capsys.readouterr().out.splitlines()] == ["up to date"] * 3
    ready(file, Display("en", as_json=True))
    assert [json.loads(line)["made"] for line in capsys.readouterr().out.splitlines()] == [False] * 3


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_tells_how_to_go_on_and_leaves_with_its_code(file, capsys, monkeypatch, number, code):
    monkeypatch.setattr(sys, "argv", ["dozero", "train", "run.toml"])
    display = Interrupting("en", 5, number)
    job, data = ready(file, display)
    workspace = job.workspace
    capsys.readouterr()
    with pytest.raises(Interrupted) as left:
        train_and_show(display, job, job.config, data, CPU)
    assert left.value.exit_code == code
    open_artifact(workspace.run / "checkpoints/step-000005", "checkpoint")
    *_, told, command = capsys.readouterr().out.splitlines()
    assert "saved at step 5 of 12" in told
    assert command == "  dozero train run.toml"

    finished = train_and_show(Display("en"), job, job.config, data, CPU)
    assert finished.step == 12
    out, err = capsys.readouterr()
    assert "continues from step 5 of 12" in out + err
    steps = [line["step"] for line in read_log(workspace.run / "metrics.jsonl") if "loss" in line]
    assert steps == list(range(1, 13))


def test_a_finished_run_is_reported_once_and_a_report_that_fails_costs_no_model(file, capsys):
    job, data = ready(file, Display("en"))
    finished = train_and_show(Display("en"), job, job.config, data, CPU)
    report = job.workspace.run / "report.md"
    assert f"report: {report}" in capsys.readouterr().out
    written = report.stat().st_mtime_ns
    train_and_show(Display("en"), job, job.config, data, CPU)
    assert report.stat().st_mtime_ns == written, "nothing was trained, nothing is new"
    assert "report" not in capsys.readouterr().out

    report.unlink()
    report.mkdir()  # nothing can be written here
    assert train_and_show(Display("en"), job, job.config, data, CPU).heldout == finished.heldout
    assert "the model is saved; the report is not" in capsys.readouterr().out


def test_a_consumer_that_there_is_not_is_refused_before_a_run_is_cleared(file):
    job, data = ready(file, Display("en"))
    train_and_show(Display("en"), job, job.config, data, CPU)
    fresh = open_job(file, ['train.log_to=["nothing"]'], "main", fresh=True)
    with pytest.raises(ConfigError, match="no such consumer"):
        train_and_show(Display("en"), fresh, fresh.config, data, CPU)
    open_artifact(job.workspace.run / "model", "model")
