"""Real teams of torchrun's processes, one of them killed, silenced or asked to stop; then the same command again.

The faults are numbered as in test_faults.py: R10 signals, R13 a process of the team dies or falls silent.
"""

import json
import os
import random
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from dozero.artifact import open_artifact
from dozero.testing import tiny_workspace, torchrun_command, workers_of
from dozero.train.checkpoint import list_checkpoints
from dozero.train.log import read_log

pytestmark = pytest.mark.slow
SOURCE = Path(__file__).resolve().parent.parent / "src"
ENVIRONMENT = os.environ | {"PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1", "TORCHELASTIC_ENABLE_FILE_TIMER": "0"}
COMMAND = torchrun_command(2, "-m", "dozero", "train", "run.toml", "--json")
SETTINGS = ("train.steps=60", "train.batch_tokens=128", "train.save_every=10", "train.eval_every=30")
BITS = ("metrics.jsonl", "samples.jsonl", "model/model.safetensors")
PATIENCE_S = 120


@pytest.fixture
def start():
    """A function that starts a command; whatever of it still runs at the end of the test is killed."""
    started = []

    def begin(workspace, command=COMMAND):
        process = subprocess.Popen(
            command, cwd=workspace, env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, encoding="utf-8", start_new_session=True,
        )  # fmt: skip
        started.append(process)
        return process

    yield begin
    for process in started:
        for worker in workers_of(process.pid):
            os.kill(worker, signal.SIGKILL)
        process.kill()
        process.communicate()


def wait_for_step(process, step):
    """Read events until one tells of this step or a later one, and return what was read."""
    events = []
    for line in process.stdout:
        events.append(json.loads(line))
        if events[-1]["event"] == "Stepped" and events[-1]["step"] >= step:
            return events
    raise AssertionError(process.stderr.read()[-3000:])


def told_by_us(err):
    """The lines of stderr that are ours, not torchrun's."""
    return [line for line in err.splitlines() if line.startswith("dozero: ")]


def bits_of(workspace):
    return {name: (workspace / "runs" / "main" / name).read_bytes() for name in BITS}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    workspace = tmp_path_factory.mktemp("undisturbed") / "workspace"
    tiny_workspace(workspace, *SETTINGS)
    subprocess.run(COMMAND, cwd=workspace, env=ENVIRONMENT, capture_output=True, check=True, timeout=PATIENCE_S)
    return workspace


# --- R13: one is killed or falls silent -----------------------------------------------------------------------------------------------------------


def test_follower_and_leader_are_killed_and_torchrun_begins_again_from_the_last_checkpoint(
    start, undisturbed, tmp_path
):
    tiny_workspace(tmp_path / "run", *SETTINGS)
    command = [*COMMAND]
    command.insert(command.index("--standalone"), "--max-restarts=2")
    process, draw = start(tmp_path / "run", command), random.Random(13)
    kills = [draw.randrange(5, 25), draw.randrange(35, 50)]
    begun = []
    for which, step in zip((1, 0), kills, strict=True):
        events = wait_for_step(process, step)
        os.kill(workers_of(process.pid)[which], signal.SIGKILL)
        begun += [event["step"] for event in events if event["event"] == "Started"]
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err[-3000:]
    lines = told_by_us(err)
    assert len(lines) == 2, "of each fault one clear line"
    for line, teller in zip(lines, (0, 1), strict=True):
        assert line.startswith(f"dozero: process {teller} of 2: another process of this run ended or does not answer")
        assert "Try: the same command" in line
    begun += [event["step"] for event in map(json.loads, out.splitlines()) if event["event"] == "Started"]
    assert len(begun) == 3
    assert begun[1] >= kills[0], "the leader that lives saves where it is"
    assert begun[2] >= kills[1] - kills[1] % 10, "of one that is killed the last checkpoint is left"
    assert bits_of(tmp_path / "run") == bits_of(undisturbed)
    steps = [line["step"] for line in read_log(tmp_path / "run/runs/main/metrics.jsonl") if "loss" in line]
    assert steps == list(range(1, 61)), "each step once"


def test_one_that_falls_silent_ends_the_team_in_time_and_a_checkpoint_is_left(start, tmp_path):
    tiny_workspace(tmp_path, *SETTINGS, "train.steps=100000", "train.save_every=100000", "train.peer_timeout_s=5")
    process = start(tmp_path)
    wait_for_step(process, 5)
    _, follower = workers_of(process.pid)
    os.kill(follower, signal.SIGSTOP)
    silent = time.monotonic()
    ours = next(line for line in process.stderr if line.startswith("dozero: "))
    assert time.monotonic() - silent < 40, "5 seconds, on a busy machine"
    assert "process 0 of 2" in ours
    assert re.search(r"[Tt]imed out", ours)
    (saved,) = list_checkpoints(tmp_path / "runs" / "main")
    open_artifact(saved, "checkpoint")
    os.kill(follower, signal.SIGKILL)
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode != 0


# --- R10: signals -----------------------------------------------------------------------------------------------------------


def test_sigterm_saves_once_and_the_same_command_goes_on_alone_or_in_a_team(start, tmp_path):
    tiny_workspace(tmp_path, *SETTINGS, "train.steps=100000", "train.save_every=100000")
    process = start(tmp_path)
    wait_for_step(process, 7)
    process.send_signal(signal.SIGTERM)  # torchrun hands it on to every process
    out, err = process.communicate(timeout=PATIENCE_S)
    events = [json.loads(line) for line in out.splitlines()]
    assert [event["event"] for event in events if event["event"] in ("Saved", "Stopped")] == ["Saved", "Stopped"]
    assert told_by_us(err) == []
    (saved,) = list_checkpoints(tmp_path / "runs" / "main")
    open_artifact(saved, "checkpoint")
    again = start(tmp_path)
    events = wait_for_step(again, events[-1]["step"] + 2)
    assert next(e["step"] for e in events if e["event"] == "Started") == int(saved.name.removeprefix("step-"))


# --- what is told once ---------------------------------------------------------------------------------------------


def test_a_mistake_in_the_settings_is_told_once_by_a_team(start, tmp_path):
    tiny_workspace(tmp_path, *SETTINGS, "train.verify_slots=3")
    process = start(tmp_path)
    _, err = process.communicate(timeout=PATIENCE_S)
    (line,) = told_by_us(err)
    assert "slots cannot be shared out evenly" in line
    assert "expected a multiple of 2 processes; got 3" in line
    assert process.returncode != 0
