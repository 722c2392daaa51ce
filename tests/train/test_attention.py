"""What attention.py promises: each shape gets one way on one machine, for ever, and a run keeps to its own."""

import pytest
import torch

from dozero.device import Device
from dozero.testing import tiny_config
from dozero.train import attention
from dozero.train.attention import (
    FILE,
    KERNELS,
    SURELY_LIBRARY,
    SURELY_WRITTEN,
    attention_of,
    choose_attention,
    measure_attention,
    settle_attention,
    use_attention,
)  # fmt: skip
from dozero.train.kept import kept_file, read_kept
from dozero.train.learner import build_model

CPU = Device("cpu", torch.float32, 1)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DOZERO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(attention, "TRIES", 2)
    return tmp_path / "cache"


def config_of(positions, *more):
    return tiny_config(f"model.max_seq_len={positions}", f"train.batch_tokens={2 * positions}", *more)


def test_it_is_measured_once_and_then_kept():
    config = config_of(96)
    kernel, took_ms = choose_attention(config, CPU)
    assert kernel == min(took_ms, key=took_ms.get)
    assert set(took_ms) == set(KERNELS)
    assert choose_attention(config, CPU) == (kernel, {})
    assert list(read_kept(FILE).values()) == [kernel]


def test_the_way_kept_wins_whatever_is_faster():
    config = config_of(96)
    choose_attention(config, CPU)
    text = kept_file(FILE).read_text()
    for kernel in KERNELS:
        kept_file(FILE).write_text(text.replace("written", kernel).replace("library", kernel))
        assert choose_attention(config, CPU) == (kernel, {})


def test_other_shapes_and_threads_are_measured_apart():
    for config in (config_of(96), config_of(100), config_of(96, "train.micro_batch_tokens=96")):
        choose_attention(config, CPU)
    choose_attention(config_of(96), Device("cpu", torch.float32, 2))
    assert len(read_kept(FILE)) == 4


@pytest.mark.parametrize(
    ("positions", "more", "device", "kernel"),
    [
        (SURELY_WRITTEN, (), CPU, "written"),
        (SURELY_LIBRARY + 1, (), CPU, "library"),
        (96, (), Device("cuda", torch.bfloat16, 1), "library"),
        (96, ("train.attention=library",), CPU, "library"),
        (4096, ("train.attention=written",), CPU, "written"),
    ],
)
def test_what_is_certain_or_asked_for_is_not_measured(positions, more, device, kernel):
    assert choose_attention(config_of(positions, *more), device) == (kernel, {})
    assert read_kept(FILE) == {}


def test_what_cannot_be_kept_goes_by_length(cache):
    cache.write_text("a file where the folder should be")
    assert choose_attention(config_of(96), CPU)[0] == "auto"


def test_a_run_goes_on_as_it_began():
    model = build_model(config_of(96), 20, CPU)
    assert attention_of(model) == "auto"
    for kernel in (*KERNELS, "auto"):
        assert settle_attention(model, config_of(96), CPU, {"attention": kernel}) == (kernel, {})
        assert attention_of(model) == kernel
    asked = config_of(96, "train.attention=written")
    assert settle_attention(model, asked, CPU, {"attention": "library"}) == ("written", {})


def test_both_ways_give_the_same_model():
    model = build_model(config_of(96), 20, CPU)
    ids = torch.arange(96).remainder(20)[None]
    outputs = []
    for kernel in KERNELS:
        use_attention(model, kernel)
        outputs.append(model(ids, torch.zeros_like(ids)))
    torch.testing.assert_close(*outputs, rtol=1e-4, atol=1e-5)


def test_measuring_ends_soon(monkeypatch):
    monkeypatch.setattr(attention, "TRIES", 10**6)
    monkeypatch.setattr(attention, "TRIES_S", 0.05)
    assert all(0 < ms < 60_000 for ms in measure_attention(config_of(96), CPU).values())
