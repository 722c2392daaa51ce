"""What memory.py promises: a lack of memory is one line with what needs less, and costs no checkpoint (R11)."""

import os
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
# The address space is limited to what the process has at its first step of this session, and so much more.
LIMITED = """
import resource, sys
import torch
from dozero.cli.main import main
from dozero.train import loop

step, room, after = loop.train_step, int(sys.argv.pop()), int(sys.argv.pop())

def limited(*arguments):
    if arguments[3] == after:
        pages = int(open("/proc/self/statm").read().split()[0])
        limit = pages * resource.getpagesize() + room
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    return step(*arguments)

loop.train_step = limited
main()
"""


def test_no_memory_for_a_step_is_one_line_and_the_run_goes_on_with_more(tmp_path):
    """The system refuses what a forward pass of 32,768 tokens asks for, for real."""
    if not Path("/proc/self/statm").exists():
        pytest.skip("no /proc to tell the size of the process")
    settings = ("train.steps=4", "train.save_every=2", "train.batch_tokens=32768", "train.sample_every=99")
    tiny_workspace(tmp_path, *settings)
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-c", LIMITED, "train", "run.toml", "3", "1000000"]
    starved = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8", timeout=120)
    run = tmp_path / "runs" / "main"
    assert starved.returncode == 2, starved.stderr
    (line,) = (line for line in starved.stderr.splitlines() if line.startswith("dozero:"))
    assert "out of memory; step-000002 is intact" in line
    assert "train.micro_batch_tokens=16384" in line
    assert "train.batch_tokens=16384" in line
    assert "Traceback" not in starved.stderr
    open_artifact(list_checkpoints(run)[0], "checkpoint")
    again = [sys.executable, "-m", "dozero", "train", "run.toml"]
    fed = subprocess.run(again, cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8", timeout=120)
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
