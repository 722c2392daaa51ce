"""Real processes of the command line, killed, starved and doubled; then the same command again, as a person would type it.

What counts is what is left at the end: the same weights, metrics and samples as those of a run that nobody disturbed.
The faults are numbered as in the catalogue that docs and issues refer to: R01 killed at random moments, R02 killed at
every call that changes the disk, R04 full disk, R09 two at once, R10 signals, R14 boundaries, R17 odd places, R20 logs.
Elsewhere: R03 test_power_loss.py, R05, R06 and R19 train/test_checkpoint.py, R07 and R16 train/test_continuation.py and
dataset/test_shards.py, R08 train/test_bad_step.py (in teams: train/test_parallel.py), R11 train/test_memory.py, R12 another
number of processes train/test_parallel.py, R13 one of several dies test_team_faults.py, R21 all of it for minutes on end
benchmarks/soak.py (make nightly). There are no workers that load ahead
(R15) and no saves that run beside training (R18), so there is nothing of theirs to break.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dozero.artifact import open_artifact
from dozero.testing import tiny_workspace
from dozero.train.checkpoint import list_checkpoints
from dozero.train.log import read_log

SOURCE = Path(__file__).resolve().parent.parent / "src"
ENVIRONMENT = os.environ | {"PYTHONPATH": str(SOURCE)}
# What is killed leaves no report of the lines it ran, and to count them makes it half as slow again.
UNCOUNTED = {name: value for name, value in ENVIRONMENT.items() if not name.startswith("COVERAGE_")}
BITS = ("metrics.jsonl", "samples.jsonl", "model/model.safetensors", "model/tokenizer.json", "model/config.json")
COMMAND = (sys.executable, "-m", "dozero", "train", "run.toml")
SETTINGS = ("train.steps=40", "train.save_every=5")
START_S = 60  # importing torch takes long on a busy machine


@pytest.fixture
def start():
    """A function that starts a process; whatever still runs at the end of the test is killed."""
    started = []

    def begin(workspace, *arguments, command=COMMAND, environment=ENVIRONMENT):
        # A group of its own: a signal meant for it does not reach the tests.
        process = subprocess.Popen(
            [*command, *arguments], cwd=workspace, env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", start_new_session=True,
        )  # fmt: skip
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A workspace whose run nobody disturbed."""
    workspace = tmp_path_factory.mktemp("finished") / "workspace"
    tiny_workspace(workspace, *SETTINGS)
    subprocess.run(COMMAND, cwd=workspace, env=ENVIRONMENT, capture_output=True, check=True, timeout=START_S)
    return workspace


def finish(start, workspace, process=None):
    """Run the command, or let the process that runs it, come to its end and return what it said."""
    process = process or start(workspace)
    out, err = process.communicate(timeout=START_S)
    assert process.returncode == 0, err
    return out


def bits_of(workspace):
    return {name: (workspace / "runs" / "main" / name).read_bytes() for name in BITS}


def events_of(process):
    """The events that a process started with --json tells, as they come."""
    return (json.loads(line) for line in process.stdout)


def wait_for_steps(workspace, process, steps):
    """Wait until the metrics tell so many steps, and return the last."""
    metrics, ends = workspace / "runs" / "main" / "metrics.jsonl", time.monotonic() + START_S
    while time.monotonic() < ends:
        logged = [line["step"] for line in read_log(metrics) if "loss" in line]
        if logged and logged[-1] >= steps:
            return logged[-1]
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    raise TimeoutError(f"no {steps} steps in {START_S} s")


def hidden_in(run):
    return [p for p in (*run.glob(".*"), *run.glob("checkpoints/.*")) if p.is_dir()]


# --- R01: killed at random moments ---------------------------------------------------------------------------------


def test_killed_twenty_times_at_random_moments(start, tmp_path, capsys):
    """Counted from the first step of each session, in events, so that kills strike training on any machine; every second
    one is aimed at a save.
    """
    settings = ("train.steps=200", "train.save_every=3", "train.eval_every=5", "train.sample_every=7")
    tiny_workspace(tmp_path / "whole", *settings)
    undisturbed = start(tmp_path / "whole")
    workspace, draw = tmp_path / "killed", random.Random(7)
    run = workspace / "runs" / "main"
    tiny_workspace(workspace, *settings)
    kills, inside_saves, lost_steps, reached = 0, 0, [], 0
    for kill in range(20):
        process = start(workspace, "--json", environment=UNCOUNTED)
        begun = kill_after(process, draw.randrange(9), draw.random(), before_save_of=3 if kill % 2 else 1)
        if begun is None:
            break
        lost_steps.append(max(0, reached - begun))
        reached = max((line["step"] for line in read_log(run / "metrics.jsonl")), default=0)
        kills, inside_saves = kills + 1, inside_saves + bool(hidden_in(run))
    finish(start, workspace)
    finish(start, tmp_path / "whole", undisturbed)
    theirs, ours = bits_of(tmp_path / "whole"), bits_of(workspace)
    different = sum(a != b for name in BITS for a, b in zip(theirs[name], ours[name], strict=False))
    different += sum(abs(len(theirs[name]) - len(ours[name])) for name in BITS)
    table = {
        "kills": kills,
        "of them inside a save": inside_saves,
        "runs lost": 0,
        "bytes that differ": different,
        "most steps lost by a kill": max(lost_steps),
    }
    with capsys.disabled():
        sys.stdout.write("".join(f"\n  {name:26} {count:>4}" for name, count in table.items()) + "\n")
    assert kills == 20
    assert inside_saves >= 1, "saves are frequent so that kills strike them"
    assert max(lost_steps) <= 3, "no more than lie between two checkpoints"
    assert ours == theirs
    assert hidden_in(run) == []
    losses = [line["step"] for line in read_log(run / "metrics.jsonl") if "loss" in line]
    assert losses == list(range(1, 201)), "each step once"


def kill_after(process, events, share, before_save_of):
    """Kill so many events after the first step of this session, at a step of this multiple, and then after a share of the
    time that a save takes (the longest between two events). Return the step it began at, or None if it was done before.
    """
    begun, stepped_at, longest_s = None, None, 0.0
    for event in events_of(process):
        now = time.monotonic()
        if event["event"] == "Started":
            begun = event["step"]
        if stepped_at is None and event["event"] == "Stepped":
            stepped_at = now
        if stepped_at is not None:
            longest_s, stepped_at, events = max(longest_s, now - stepped_at), now, events - 1
        if events < 0 and event["event"] == "Stepped" and event["step"] % before_save_of == 0:
            break
    time.sleep(share * longest_s)
    process.kill()
    process.communicate()
    assert process.returncode in (-signal.SIGKILL, 0)
    return begun if process.returncode else None


# --- R02: killed at every call that changes the disk ---------------------------------------------------------------

# One process imports torch, then forks one child for each point: it runs there until it is killed, and another child
# runs to the end. A child is killed before the n-th call that opens a file for writing, flushes, renames, makes or
# removes something; sys.addaudithook tells them all but fsync and what safetensors writes by itself.
KILLED_AT_EVERY_CALL = """
import json, os, signal, sys, traceback
from pathlib import Path
import torch
from dozero.device import Device
from dozero.testing import tiny_config, tiny_dataset
from dozero.train.events import Started
from dozero.train.loop import train

folder = Path(sys.argv[1])
torch.set_num_threads(1)
dataset, tokenizer = tiny_dataset(folder / "dataset")
config = tiny_config("train.steps=6", "train.save_every=3", "train.keep=1", "train.eval_every=6", "train.sample_every=6")
calls, kill_at = 0, None
CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate"}

def count(*_):
    global calls
    calls += 1
    if calls == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)

def watch(name, arguments):
    if name in CHANGES or (name == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)):
        count()

fsync = os.fsync
os.fsync = lambda descriptor: (count(), fsync(descriptor))[1]
sys.addaudithook(watch)

def go(run, point):
    \"\"\"Train in a child, killed at this call (None: never); return its exit code and how many calls it made.\"\"\"
    global calls, kill_at
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            calls, kill_at = 0, point
            begun = [e.step for e in train(config, dataset, tokenizer, run, Device("cpu", torch.float32, 1))][0]
            os.write(write, json.dumps([calls, begun]).encode())
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    os.close(write)
    with open(read, "rb") as told:
        text = told.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), json.loads(text or b"[null, null]")

go(folder / "first", None)  # writes what is measured once on a machine, and modules imported late: no later run does
code, (points, _) = go(folder / "whole", None)
assert code == 0, "the run that is not killed"
for point in range(1, points + 1):
    killed, _ = go(folder / str(point), point)
    left = sorted(p.name for p in (folder / str(point)).glob("checkpoints/step-*"))
    code, (_, begun) = go(folder / str(point), None)
    print(json.dumps({"point": point, "killed": killed, "left": left, "code": code, "begun": begun}), flush=True)
"""


def test_killed_at_every_call_that_changes_the_disk(start, tmp_path, capsys):
    command = (sys.executable, "-c", KILLED_AT_EVERY_CALL)
    process = start(tmp_path, str(tmp_path), command=command, environment=UNCOUNTED)
    out, err = process.communicate(timeout=180)
    assert process.returncode == 0, err
    told = [json.loads(line) for line in out.splitlines()]
    whole = {name: (tmp_path / "whole" / name).read_bytes() for name in BITS}
    assert len(told) > 60, "two saves, the second with a deletion, and the model folder"
    for fault in told:
        run = tmp_path / str(fault["point"])
        assert fault["killed"] == -signal.SIGKILL, fault
        assert fault["code"] == 0, (fault, err)
        assert {name: (run / name).read_bytes() for name in BITS} == whole, fault
        assert hidden_in(run) == [], fault
        assert list_checkpoints(run)[0].name == "step-000006", fault
        assert {p.name for p in run.glob("checkpoints/*")} <= {"step-000003", "step-000006"}, fault
        open_artifact(list_checkpoints(run)[0], "checkpoint")
        open_artifact(run / "model", "model")
    begun = [fault["begun"] for fault in told]
    assert begun == sorted(begun), "a later kill never loses more"
    assert set(begun) == {0, 3, 6}
    with capsys.disabled():
        counts = ", ".join(f"{begun.count(step)} continued from step {step}" for step in (0, 3, 6))
        sys.stdout.write(f"\n  killed before each of {len(told)} calls: {counts}; 0 runs lost, 0 bytes differ\n")


# --- R04: full disk ------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("mounting a small file system takes root on Linux")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True, encoding="utf-8"
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a small file system: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def test_full_disk_is_told_in_one_line_and_then_the_run_goes_on(start, small_disk, finished):
    workspace = small_disk / "workspace"
    tiny_workspace(workspace, *SETTINGS)
    process = start(workspace, "--json")
    for event in events_of(process):
        if event["event"] == "Saved":
            break
    process.kill()
    process.communicate()
    filler = small_disk / "filler"
    free_bytes = shutil.disk_usage(small_disk).free
    filler.write_bytes(bytes(free_bytes - 40_000))  # room for one more checkpoint, not for two
    process = start(workspace)
    _, err = process.communicate(timeout=START_S)
    assert process.returncode == 2
    (line,) = (line for line in err.splitlines() if not line.startswith("step "))
    assert line.startswith("dozero: runs/main/checkpoints/step-"), err
    assert "No space left on device" in line
    assert "MB free" in line
    for path in list_checkpoints(workspace / "runs" / "main"):
        open_artifact(path, "checkpoint")
    assert hidden_in(workspace / "runs" / "main") == []
    filler.unlink()
    finish(start, workspace)
    assert bits_of(workspace) == bits_of(finished)


# --- R09: two at once ----------------------------------------------------------------------------------------------


def test_second_process_is_refused_by_name_and_takes_over_when_the_first_is_killed(start, tmp_path):
    # So long a run would be compiled, if that were left to it.
    tiny_workspace(tmp_path, "train.steps=1000000", "train.save_every=20", "train.compile=off")
    first = start(tmp_path, "--json")
    saved = next(event["step"] for event in events_of(first) if event["event"] == "Saved")
    second = start(tmp_path)
    out, err = second.communicate(timeout=START_S)
    assert second.returncode == 2, (out, err)
    assert f"in use by another process; got process {first.pid} on " in err
    assert err.count("\n") == 1, err
    assert first.poll() is None, "the first goes on, and was not waited for"
    first.kill()
    first.communicate()
    third = start(tmp_path, "--json")
    told = (event for event in events_of(third) if event["event"] in ("Started", "Stepped"))
    assert next(told)["step"] >= saved
    assert next(told)["event"] == "Stepped"


# --- R10: signals --------------------------------------------------------------------------------------------------

# In a save, flushing a file takes half a minute, so that a second Ctrl-C comes while the first is being obeyed.
SLOW_SAVE = """
import os, sys, time
from dozero.cli.main import main
from dozero.train import loop

def fsync(descriptor):
    print("saving", flush=True)
    time.sleep(30)

def save_slowly(*arguments):
    os.fsync = fsync
    return save(*arguments)

save, loop.save_checkpoint = loop.save_checkpoint, save_slowly
sys.argv = ["dozero", "train", "run.toml"]
main()
"""


def test_ctrl_c_and_sigterm_save_say_how_to_go_on_and_twice_leaves_at_once(start, tmp_path):
    settings = ("train.steps=500", "train.save_every=5000", "train.eval_every=100", "train.sample_every=100")
    tiny_workspace(tmp_path / "whole", *settings)
    undisturbed = start(tmp_path / "whole")
    workspace = tmp_path / "stopped"
    run = workspace / "runs" / "main"
    tiny_workspace(workspace, *settings)
    steps = 0
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        process = start(workspace)
        wait_for_steps(workspace, process, steps + 7)
        process.send_signal(number)
        out, err = process.communicate(timeout=START_S)
        assert process.returncode == code, err
        steps = read_log(run / "metrics.jsonl")[-1]["step"]
        assert f"interrupted and saved at step {steps} of 500; the same command continues:" in out
        assert "dozero train run.toml" in out
        assert list_checkpoints(run)[0].name == f"step-{steps:06d}", "no step was lost"
        open_artifact(list_checkpoints(run)[0], "checkpoint")

    process = start(workspace, command=(sys.executable, "-c", SLOW_SAVE))
    wait_for_steps(workspace, process, steps + 7)
    process.send_signal(signal.SIGINT)
    while process.stdout.readline() != "saving\n":
        assert process.poll() is None
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=START_S)
    assert process.returncode == 130
    assert time.monotonic() - began < 20, "at once, and not after half a minute"
    assert list_checkpoints(run)[0].name == f"step-{steps:06d}", "the older one"
    open_artifact(list_checkpoints(run)[0], "checkpoint")

    finish(start, workspace)
    finish(start, tmp_path / "whole", undisturbed)
    assert bits_of(workspace) == bits_of(tmp_path / "whole")
    assert hidden_in(run) == []


# --- R14: boundaries -----------------------------------------------------------------------------------------------

# As above one process forks many: killed after each step without a word, through all steps of two epochs and one more.
KILLED_AFTER_EVERY_STEP = """
import os, signal, sys, traceback
from pathlib import Path
import torch
from dozero.dataset.rows import pack_rows
from dozero.device import Device
from dozero.testing import WORDS, tiny_config, tiny_dataset
from dozero.train.events import Stepped
from dozero.train.loop import train

folder = Path(sys.argv[1])
torch.set_num_threads(1)
data = tiny_dataset(folder / "dataset", WORDS[:106])
config = tiny_config("train.steps=11", "train.batch_tokens=128", "train.save_every=5", "train.eval_every=5")
assert len(pack_rows(data[0].train, 16)) == 5 * config.rows_per_step

def go(run, kill_after):
    child = os.fork()
    if child == 0:
        try:
            for event in train(config, *data, run, Device("cpu", torch.float32, 1)):
                if isinstance(event, Stepped) and event.step == kill_after:
                    os.kill(os.getpid(), signal.SIGKILL)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

assert go(folder / "whole", None) == 0
for step in range(1, 12):
    assert go(folder / str(step), step) == -9
    assert go(folder / str(step), None) == 0
    if step not in (4, 5, 9, 10):
        continue
    twice = folder / f"{step}-twice"
    assert go(twice, step) == -9
    assert go(twice, min(step + 1, 11)) == -9
    assert go(twice, None) == 0
"""


def test_killed_after_every_step_of_two_epochs(start, tmp_path):
    """Epochs end after steps 5 and 10, where checkpoints are due too; around them a second kill comes one step later."""
    process = start(
        tmp_path, str(tmp_path), command=(sys.executable, "-c", KILLED_AFTER_EVERY_STEP), environment=UNCOUNTED
    )
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    whole = {name: (tmp_path / "whole" / name).read_bytes() for name in BITS}
    runs = [tmp_path / str(step) for step in range(1, 12)] + sorted(tmp_path.glob("*-twice"))
    assert len(runs) == 11 + 4
    for run in runs:
        assert {name: (run / name).read_bytes() for name in BITS} == whole, run.name


def test_the_same_command_after_the_end_says_that_it_is_done(start, finished):
    before = bits_of(finished)
    said = finish(start, finished)
    assert "runs/main/model" in said
    assert "40 steps" in said
    assert bits_of(finished) == before


def test_a_broken_checkpoint_is_told_by_the_command_line(start, finished, tmp_path):
    shutil.copytree(finished, tmp_path / "copy")
    truncated = list_checkpoints(tmp_path / "copy" / "runs" / "main")[0] / "optim.safetensors"
    os.truncate(truncated, 100)
    process = start(tmp_path / "copy")
    said = "".join(process.communicate(timeout=START_S))
    assert process.returncode == 0, said
    assert "checkpoint not valid, passed over" in said
    assert "optim.safetensors: size differs" in said
    assert "continues from step 35 of 40" in said
    assert bits_of(tmp_path / "copy") == bits_of(finished)


# --- R17: odd places -----------------------------------------------------------------------------------------------


def test_a_run_in_a_folder_of_any_name_behind_a_link(start, finished, tmp_path):
    """Names of the longest kind a system takes, letters of all sorts, spaces; reached by a link, then by its name."""
    real = tmp_path / "ünïcødé 模型 🙂" / ("longo" * 40) / "espaço no nome"
    tiny_workspace(real, *SETTINGS)
    (tmp_path / "link").symlink_to(real, target_is_directory=True)
    process = start(tmp_path / "link", "--json")
    for event in events_of(process):
        if event["event"] == "Saved" and event["step"] >= 10:
            break
    process.kill()
    process.communicate()
    finish(start, real)
    assert bits_of(real) == bits_of(finished)


@pytest.fixture
def read_only(tmp_path):
    """A function that makes the file system that holds a workspace read-only."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("mounting a file system takes root on Linux")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", disk], capture_output=True, encoding="utf-8")
    if mounted.returncode:
        pytest.skip(f"cannot mount a file system: {mounted.stderr.strip()}")

    def remount(how):
        subprocess.run(["mount", "-o", f"remount,{how}", disk], check=True)

    yield disk, remount
    subprocess.run(["umount", "-l", disk], check=True)


def test_a_disk_that_takes_no_writes_is_told_in_one_line(start, read_only, finished):
    disk, remount = read_only
    shutil.copytree(finished, disk / "workspace")
    remount("ro")
    process = start(disk / "workspace")
    _, err = process.communicate(timeout=START_S)
    assert process.returncode == 2
    assert err.count("\n") == 1, err
    assert "Read-only file system" in err
    remount("rw")
    finish(start, disk / "workspace")
    assert bits_of(disk / "workspace") == bits_of(finished)


# --- the way out of a bad step -------------------------------------------------------------------------------------


def test_a_run_that_diverges_says_so_in_one_line_and_the_way_out_works(start, tmp_path):
    """Rates that make the weights overflow; the run is saved at its last good step, and begun anew with lower ones."""
    wild = ("optim.adam_lr=1e30", "optim.muon_lr=1e30")
    tiny_workspace(tmp_path, *SETTINGS)
    process = start(tmp_path, *wild)
    out, err = process.communicate(timeout=START_S)
    assert process.returncode == 2, (out, err)
    told = [line for line in err.splitlines() if line.startswith("dozero:")]
    assert len(told) == 1, err
    assert "loss or gradient is not finite" in told[0]
    assert "train.on_divergence=skip" in told[0]
    assert "--fresh" in told[0]
    assert "documents" in err, "which data it was"
    run = tmp_path / "runs" / "main"
    open_artifact(list_checkpoints(run)[0], "checkpoint")
    assert [line["action"] for line in read_log(run / "metrics.jsonl") if "diverged" in line] == ["raise"]
    finish(start, tmp_path, start(tmp_path, "--fresh"))
