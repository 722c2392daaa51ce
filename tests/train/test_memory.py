"""What memory.py promises: a lack of memory is one line with what needs less, and costs no checkpoint (R11)."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dozero.artifact import open_artifact
from dozero.errors import OutOfMemory
from dozero.testing import tiny_config, tiny_workspace
from dozero.train.checkpoint import list_checkpoints
from dozero.train.memory import explain_memory_errors, is_out_of_memory

SOURCE = Path(__file__).resolve().parent.parent.parent / "src"
# Killed at a step; or from a step on the address space of the process may not grow by a byte.
FAULTY = """
import os, resource, signal, sys
from dozero.cli.main import main
from dozero.train import loop

step, fault, at = loop.train_step, "{fault}", 2

def faulty(*arguments, **named):
    if arguments[3] == at and fault == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if arguments[3] == at and fault == "starve":
        limit = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    return step(*arguments, **named)

loop.train_step = faulty
main()
"""


def test_no_memory_for_a_step_is_one_line_and_the_run_goes_on_with_more(tmp_path):
    """The system refuses what a forward pass of 32,768 tokens asks for, for real."""
    if not Path("/proc/self/statm").exists():
        pytest.skip("no /proc to tell the size of the process")
    settings = ("train.steps=4", "train.save_every=2", "train.batch_tokens=32768", "train.sample_every=99")
    tiny_workspace(tmp_path, *settings)
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    run = tmp_path / "runs" / "main"

    def train(*command):
        return subprocess.run(
            [sys.executable, *command, "train", "run.toml"], cwd=tmp_path, env=environment, capture_output=True,
            encoding="utf-8", timeout=120,
        )  # fmt: skip

    assert train("-c", FAULTY.format(fault="kill")).returncode == -signal.SIGKILL
    starved = train("-c", FAULTY.format(fault="starve"))
    assert starved.returncode == 2, starved.stderr
    (line,) = (line for line in starved.stderr.splitlines() if line.startswith("dozero:"))
    assert "out of memory; step-000002 is intact" in line
    assert "train.micro_batch_tokens=16384" in line
    assert "train.batch_tokens=16384" in line
    assert "Traceback" not in starved.stderr
    open_artifact(list_checkpoints(run)[0], "checkpoint")
    fed = train("-m", "dozero")
    assert fed.returncode == 0, fed.stderr
    assert "continues from step 2 of 4" in fed.stdout


def test_what_torch_says_when_there_is_no_memory_is_known():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
    with pytest.raises(MemoryError) as caught:
        bytearray(2**62)
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"))


def test_other_errors_pass_as_they_are(tmp_path):
    for error in (RuntimeError("shape mismatch"), ValueError("memory"), KeyError("x")):
        with pytest.raises(type(error)) as caught, explain_memory_errors(tiny_config(), tmp_path):
            raise error
        assert caught.value is error


def test_before_the_first_checkpoint_it_says_that_nothing_was_saved(tmp_path):
    with (
        pytest.raises(OutOfMemory, match="nothing was saved yet") as caught,
        explain_memory_errors(tiny_config(), tmp_path),
    ):
        raise MemoryError
    assert caught.value.got == "no memory"
    assert "train.batch_tokens=32" in caught.value.next
