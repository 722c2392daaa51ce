"""What compiled.py promises: each shape gets one answer on one machine, and a compiled run is resumed bit for bit."""

import shutil
import subprocess
import sys

import pytest
import torch

from dozero.device import Device
from dozero.errors import ConfigError
from dozero.testing import tiny_config
from dozero.train import compiled
from dozero.train.compiled import (
    FILE,
    LEAST_RUN_S,
    CompiledForward,
    compiling_of,
    expected_seconds,
    is_worthwhile,
    settle_compile,
    time_block,
)
from dozero.train.kept import read_kept
from dozero.train.learner import build_model

CPU = Device("cpu", torch.float32, 1)
needs_compiler = pytest.mark.skipif(not shutil.which("g++"), reason="there is no g++ here")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DOZERO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def pretended(monkeypatch):
    """Compiling costs nothing and changes nothing here; returns what the block is to take, plain and compiled."""
    took = {"off": 40.0, "on": 20.0}
    monkeypatch.setattr(torch, "compile", lambda forward, dynamic: forward)
    monkeypatch.setattr(compiled, "time_block", lambda model, config: took[compiling_of(model)])
    return took


def long_config(*more):
    return tiny_config("train.steps=1000000", *more)


def test_what_saves_time_is_compiled_and_the_answer_kept(pretended):
    for told in ({"plain": 40.0, "compiled": 20.0}, {}):
        model = build_model(long_config(), 20, CPU)
        compiling = settle_compile(model, long_config(), CPU, {})
        assert (compiling.choice, compiling.took_ms) == ("on", told)
        assert compiling_of(model) == "on"
    assert len(read_kept(FILE)) == 1


def test_what_saves_little_is_left_plain(pretended):
    pretended["on"] = 40.5
    model = build_model(long_config(), 20, CPU)
    assert settle_compile(model, long_config("train.max_seconds=250"), CPU, {}).choice == "off"
    assert compiling_of(model) == "off"
    assert not isinstance(model.model.layers[0].forward, CompiledForward)


@pytest.mark.parametrize(
    "more", [("train.steps=4",), ("train.max_seconds=10",), ("train.checkpoint_activations=true",)]
)
def test_short_runs_and_those_that_compute_twice_do_not_try(pretended, more):
    config = long_config(*more)
    assert settle_compile(build_model(config, 20, CPU), config, CPU, {}).choice == "off"
    assert "compiled" not in next(iter(read_kept(FILE).values()), {})


def test_where_nothing_can_be_kept_nothing_is_compiled(pretended, cache):
    cache.write_text("a file where the folder should be")
    assert settle_compile(build_model(long_config(), 20, CPU), long_config(), CPU, {}).choice == "off"


def test_a_run_goes_on_as_it_began(pretended):
    config = tiny_config()
    for choice in ("on", "off"):
        model = build_model(config, 20, CPU)
        assert settle_compile(model, config, CPU, {"compile": choice}).choice == choice == compiling_of(model)
    asked = tiny_config("train.compile=off")
    assert settle_compile(build_model(asked, 20, CPU), asked, CPU, {"compile": "on"}).choice == "off"


def test_a_failure_is_told_and_the_plain_way_taken(monkeypatch):
    def fail(forward, dynamic):
        def run(*args):
            raise RuntimeError("no compiler here\nwith many lines")

        return run

    monkeypatch.setattr(torch, "compile", fail)
    monkeypatch.setattr(compiled, "LEAST_RUN_S", 0.0)
    model = build_model(long_config(), 20, CPU)
    compiling = settle_compile(model, long_config(), CPU, {})
    assert (compiling.choice, compiling.reason) == ("off", "no compiler here")
    assert compiling_of(model) == "off"
    assert settle_compile(model, long_config(), CPU, {}).reason == ""  # it is not tried again
    with pytest.raises(ConfigError, match="no compiler here"):
        settle_compile(model, long_config("train.compile=on"), CPU, {})


def test_time_is_of_all_blocks_and_portions():
    config = tiny_config("train.steps=100")
    per_step = config.model.n_layers * -(-config.rows_per_step // (config.rows_at_once or config.rows_per_step))
    assert expected_seconds(config, 10.0) == pytest.approx(per_step)
    assert expected_seconds(long_config("train.max_seconds=7"), 10.0) == 7.0
    assert not is_worthwhile(LEAST_RUN_S, 10.0, None, 0.0)
    assert time_block(build_model(config, 20, CPU), config) > 0


# Run in a process of its own: the types that tests check at run time cannot be compiled.
IN_A_PROCESS = """
import sys
from pathlib import Path
import torch
from dozero.device import Device, apply_device
from dozero.testing import tiny_config, tiny_dataset
from dozero.train.compiled import compiling_of, settle_compile
from dozero.train.learner import build_model
from dozero.train.loop import train

folder, device = Path(sys.argv[1]), Device("cpu", torch.float32, 1)
apply_device(device)
config = tiny_config("train.compile=on", "train.steps=6", "train.save_every=3")
plain, fast = (build_model(config, 20, device) for _ in range(2))
assert settle_compile(fast, config, device, {}).choice == "on"
rows, T = config.rows_per_step, config.model.max_seq_len
ids = torch.randint(20, (rows, T), generator=torch.Generator().manual_seed(0))
outputs = [model(ids, torch.zeros_like(ids)) for model in (plain, fast)]
torch.testing.assert_close(*outputs, rtol=1e-4, atol=1e-5)
for logits in outputs:
    logits.square().mean().backward()
for p, q in zip(plain.parameters(), fast.parameters(), strict=True):
    torch.testing.assert_close(p.grad, q.grad, rtol=1e-3, atol=1e-6)
with torch.no_grad():
    assert torch.equal(plain(ids[:1, :3]), fast(ids[:1, :3])), "what is no step goes the plain way"
assert plain.state_dict().keys() == fast.state_dict().keys()

dataset, tokenizer = tiny_dataset(folder / "data")
whole = list(train(config, dataset, tokenizer, folder / "whole", device))
for event in train(config, dataset, tokenizer, folder / "halted", device):
    if getattr(event, "step", 0) == 4:
        break
resumed = list(train(config, dataset, tokenizer, folder / "halted", device))
assert (whole[0].compiling.choice, resumed[0].compiling.choice, resumed[0].differences) == ("on", "on", ())
"""


@needs_compiler
def test_a_compiled_run_computes_the_same_and_is_resumed_bit_for_bit(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", IN_A_PROCESS, str(tmp_path)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    weights = [(tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("whole", "halted")]
    assert weights[0] == weights[1]
