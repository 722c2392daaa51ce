"""What recompute.py promises: the same loss and gradients with less memory kept between forward and backward."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dozero.device import Device
from dozero.testing import tiny_config
from dozero.train.learner import build_model

SOURCE = Path(__file__).resolve().parent.parent.parent / "src"
CPU = Device("cpu", torch.float32, 1)
SETTINGS = ("model.n_layers=3", "model.d_model=32", "model.d_ff=64")
PEAK = """
import resource, sys, torch
from pathlib import Path
from dozero.device import Device
from dozero.testing import tiny_config
from dozero.train.learner import build_model
settings = ("model.n_layers=48", "model.d_model=128", "model.d_ff=384", "model.n_heads=4", "model.n_kv_heads=4",
            "model.head_dim=32", "model.max_seq_len=256", "train.batch_tokens=2048")
def peak_mb():
    if sys.platform != "linux":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    # There getrusage also counts the peak of the process that started this one.
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
torch.set_num_threads(1)
config = tiny_config(*settings, f"train.checkpoint_activations={sys.argv[1]}")
model = build_model(config, 64, Device("cpu", torch.float32, 1))
before = peak_mb()
model(torch.zeros(4, 256, dtype=torch.long)).float().logsumexp(-1).sum().backward()
print(peak_mb() - before)
"""


def made(recompute):
    model = build_model(tiny_config(*SETTINGS, f"train.checkpoint_activations={recompute}"), 13, CPU)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.05)
    return model


def test_gradients_and_names_are_those_of_a_model_that_keeps_everything():
    ids, segments = torch.arange(32).remainder(13).view(2, 16), torch.zeros(2, 16, dtype=torch.long)
    plain, frugal = made("false"), made("true")
    for model in (plain, frugal):
        model(ids, segments).float().logsumexp(-1).sum().backward()
    theirs = dict(frugal.named_parameters())
    assert list(theirs) == [name for name, _ in plain.named_parameters()]
    for name, p in plain.named_parameters():
        assert torch.equal(theirs[name].grad, p.grad), name


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell the peak of a process this way")
def test_the_peak_of_memory_is_less_than_half():
    peaks = []
    for recompute in ("true", "false"):
        command = [sys.executable, "-c", PEAK, recompute]
        environment = {"PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", check=True, timeout=120)
        peaks.append(float(done.stdout))
    assert peaks[0] < 0.5 * peaks[1], f"{peaks[0]:.0f} and {peaks[1]:.0f} MB above the start"


def test_a_model_that_recomputes_still_generates():
    model, plain = made("true"), made("false")
    ids = torch.arange(5)[None]
    with torch.no_grad():
        whole = plain(ids)
        cache = model.new_cache(1, 5)
        first = model(ids[:, :3], cache=cache)
        rest = model(ids[:, 3:], cache=cache)
    torch.testing.assert_close(torch.cat([first, rest], dim=1), whole, rtol=1e-4, atol=1e-5)
