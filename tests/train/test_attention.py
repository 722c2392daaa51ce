"""What attention.py promises: each shape gets one way on one machine, for ever, and a run keeps to its own."""

import pytest
import torch

from dozero.device import Device
from dozero.errors import ConfigError
from dozero.testing import tiny_config
from dozero.train import attention
from dozero.train.attention import (
    FILE,
    KERNELS,
    SURELY_FUSED,
    SURELY_LIBRARY,
    SURELY_WRITTEN,
    attention_of,
    choose_attention,
    list_candidates,
    measure_attention,
    settle_attention,
    use_attention,
)  # fmt: skip
from dozero.train.fused import open_kernels, why_not_fused
from dozero.train.kept import kept_file, read_kept
from dozero.train.kernels import Kernels
from dozero.train.learner import build_model

CPU = Device("cpu", torch.float32, 1)
needs_compiler = pytest.mark.skipif(open_kernels() is None, reason="no C compiler")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DOZERO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(attention, "TRIES", 2)
    return tmp_path / "cache"


def config_of(positions, *more):
    return tiny_config(f"model.max_seq_len={positions}", f"train.batch_tokens={2 * positions}", *more)


def fusable(positions, *more):
    return config_of(positions, "model.head_dim=32", *more)


@needs_compiler
def test_it_is_measured_once_and_then_kept():
    config = fusable(96)
    kernel, took_ms = choose_attention(config, CPU)
    assert kernel == min(took_ms, key=took_ms.get)
    assert set(took_ms) == set(KERNELS)
    assert choose_attention(config, CPU) == (kernel, {})
    assert list(read_kept(FILE).values()) == [kernel]


def test_the_way_kept_wins_whatever_is_faster():
    config = fusable(96)
    (came_out,) = choose_attention(config, CPU)[:1]
    text = kept_file(FILE).read_text()
    for kernel in KERNELS if not why_not_fused(config.model, "cpu", CPU.dtype) else KERNELS[:2]:
        kept_file(FILE).write_text(text.replace(f'"{came_out}"', f'"{kernel}"'))
        assert choose_attention(config, CPU) == (kernel, {})


def test_other_shapes_and_threads_are_measured_apart():
    for config in (config_of(96), config_of(100), config_of(96, "train.micro_batch_tokens=96")):
        choose_attention(config, CPU)
    choose_attention(config_of(96), Device("cpu", torch.float32, 2))
    assert len(read_kept(FILE)) == 4


@needs_compiler
def test_other_code_is_measured_again(monkeypatch):
    choose_attention(fusable(96), CPU)
    monkeypatch.setattr(Kernels, "code", "attend-of-another-version")
    assert set(choose_attention(fusable(96), CPU)[1]) == set(KERNELS)
    assert len(read_kept(FILE)) == 2


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
    model = build_model(fusable(96), 20, CPU)
    assert attention_of(model) == "auto"
    fused = () if why_not_fused(model.config, "cpu", CPU.dtype) else ("fused",)
    for kernel in ("written", "library", *fused, "auto"):
        assert settle_attention(model, fusable(96), CPU, {"attention": kernel}) == (kernel, {})
        assert attention_of(model) == kernel
    asked = config_of(96, "train.attention=written")
    assert settle_attention(model, asked, CPU, {"attention": "library"}) == ("written", {})


@needs_compiler
def test_all_ways_give_the_same_model():
    model = build_model(fusable(96), 20, CPU)
    ids = torch.arange(96).remainder(20)[None]
    outputs = []
    for kernel in KERNELS:
        use_attention(model, kernel)
        outputs.append(model(ids, torch.zeros_like(ids)))
    for output in outputs[1:]:
        torch.testing.assert_close(output, outputs[0], rtol=1e-4, atol=1e-5)


def test_measuring_ends_soon(monkeypatch):
    monkeypatch.setattr(attention, "TRIES", 10**6)
    monkeypatch.setattr(attention, "TRIES_S", 0.05)
    assert all(0 < ms < 60_000 for ms in measure_attention(config_of(96), CPU, ["written", "library"]).values())


@needs_compiler
def test_what_is_tried_follows_from_the_shape_and_the_machine(monkeypatch):
    def tried(*arguments, device=CPU):
        return list_candidates(fusable(*arguments), device)

    assert tried(SURELY_WRITTEN) == ["written", "fused"]
    assert tried(SURELY_FUSED) == ["written", "library", "fused"]
    assert tried(SURELY_FUSED + 8) == tried(4 * SURELY_LIBRARY) == ["library", "fused"]
    assert tried(SURELY_LIBRARY, "train.compile=on") == ["written", "library"]
    assert tried(96, "train.shard=true", device=Device("cpu", torch.float32, 1, world_size=2)) == ["written", "library"]
    assert list_candidates(config_of(SURELY_WRITTEN), CPU) == ["written"]  # heads of another width
    monkeypatch.setattr("dozero.train.fused.open_kernels", lambda: None)
    assert tried(SURELY_LIBRARY) == ["written", "library"]


def test_what_is_asked_for_and_cannot_be_is_told():
    for config in (config_of(96, "train.attention=fused"), fusable(96, "train.attention=fused", "train.compile=on")):
        with pytest.raises(ConfigError, match="cannot be fused"):
            choose_attention(config, CPU)
        with pytest.raises(ConfigError, match=r"train\.attention=auto"):
            settle_attention(build_model(config, 20, CPU), config, CPU, {}, is_verified=True)
