"""What device.py promises: values in, values out; one place that sets anything; figures that were measured."""

import ctypes
import importlib.util
import itertools
import sys
import time

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dozero import device as module
from dozero.device import (
    FLOAT32_ERROR,
    Device,
    MachinePeak,
    MatmulSpeed,
    apply_device,
    auto_dtype,
    bfloat16_is_listed,
    generator,
    measure_peak,
    multiplies_bfloat16,
    pick_device,
    recommend,
    usable_cores,
)
from dozero.errors import ConfigError


def settings():
    """What apply_device sets and torch can be asked for."""
    return torch.get_num_threads(), torch.get_float32_matmul_precision()


@pytest.fixture(autouse=True)
def no_torchrun(monkeypatch):
    """Take the variables of torchrun away: the tests may run under it."""
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)


def relative_error(product, a, b):
    exact = a.double() @ b.double()
    return float((product.double() - exact).norm() / exact.norm())


# --- choosing ------------------------------------------------------------------------------------------------------


def test_auto_is_this_machine():
    device = pick_device()
    assert device.type == (
        "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    )
    assert (device.threads, device.rank, device.world_size, device.local_rank) == (usable_cores(), 0, 1, 0)
    assert device.dtype == auto_dtype(device.type)


def test_what_is_asked_for_is_what_comes():
    assert pick_device("cpu", "float32", 1) == Device("cpu", torch.float32, 1)
    assert pick_device("cpu", "bfloat16", 3) == Device("cpu", torch.bfloat16, 3)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"device": "gpu"}, ["auto", "cpu", "cuda", "mps", "'gpu'"]),
        ({"dtype": "bfloat"}, ["auto", "float32", "bfloat16", "'bfloat'", "Try: bfloat16"]),
        ({"dtype": "float16"}, ["auto", "float32", "bfloat16"]),
        ({"threads": -1}, ["whole number from 0", "-1"]),
        ({"threads": 10**6}, ["whole number from 0", "1000000"]),
        ({"threads": True}, ["whole number from 0"]),
    ],
)
def test_a_refused_value_names_what_was_expected(arguments, expected):
    with pytest.raises(ConfigError) as refused:
        pick_device(**arguments)
    message = str(refused.value)
    assert all(part in message for part in [next(iter(arguments)), *expected]), message


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_hardware_that_is_not_here_is_refused():
    with pytest.raises(ConfigError, match=r"no such device here; expected auto or .*cpu; got 'cuda'"):
        pick_device("cuda")


def test_without_bfloat16_products_auto_is_float32():
    assert auto_dtype("cpu", has_bfloat16=False) == auto_dtype("cuda", has_bfloat16=False) == torch.float32
    assert auto_dtype("cpu", has_bfloat16=True) == auto_dtype("cuda", has_bfloat16=True) == torch.bfloat16
    assert auto_dtype("mps", has_bfloat16=True) == torch.float32


@pytest.mark.parametrize(
    ("cpuinfo", "listed"),
    [
        ("processor : 0\nflags\t\t: fpu sse avx2 avx512f avx512_bf16 avx512_fp16\n", True),
        ("flags : fpu avx512f amx_bf16 amx_tile", True),
        ("Features\t: fp asimd sve bf16 i8mm\n", True),
        ("flags : fpu sse avx2 avx512f avx512_vnni\n", False),
        ("Features : fp asimd\nmodel name : bf16 only by name\n", False),
        ("processor : 0\nmodel name : something else\n", None),
        ("", None),
    ],
)
def test_bfloat16_is_read_from_the_flags_and_only_from_them(cpuinfo, listed):
    assert bfloat16_is_listed(cpuinfo) is listed


def test_timing_decides_in_well_under_a_second_where_no_flags_are_listed():
    module._bfloat16_is_faster.cache_clear()
    started = time.perf_counter()
    answer = module._bfloat16_is_faster()
    assert time.perf_counter() - started < 10, "a measurement of 50 ms, on however busy a machine"
    assert isinstance(answer, bool)
    assert isinstance(multiplies_bfloat16(), bool)


def test_rank_and_threads_come_from_torchrun(monkeypatch):
    for name, value in {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"}.items():
        monkeypatch.setenv(name, value)
    device = pick_device("cpu")
    assert (device.rank, device.world_size, device.local_rank) == (5, 8, 1)
    assert device.threads == max(1, usable_cores() // 4)
    monkeypatch.setenv("RANK", "first")
    with pytest.raises(ConfigError, match=r"variable RANK.*'first'"):
        pick_device("cpu")


# --- global state ----------------------------------------------------------------------------------------------------


def test_import_sets_nothing(monkeypatch):
    before = settings()
    spec = importlib.util.spec_from_file_location("device_again", module.__file__)
    again = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "device_again", again)
    spec.loader.exec_module(again)
    assert settings() == before


def test_choosing_sets_nothing():
    before = settings()
    pick_device()
    assert settings() == before


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_are_honoured(threads):
    apply_device(Device("cpu", torch.float32, threads))
    assert torch.get_num_threads() == threads


def test_apply_twice_is_apply_once():
    device = pick_device("cpu")
    a = torch.randn(300, 300, generator=generator(1))
    results = []
    for _ in range(2):
        apply_device(device)
        results.append((settings(), a @ a))
    assert results[0][0] == results[1][0]
    assert torch.equal(results[0][1], results[1][1])


# Rows, inner, columns: squares, one row (decoding), and the shapes of a small model's layers.
@pytest.mark.parametrize("shape", [(64, 64, 64), (512, 512, 512), (1, 576, 1536), (2048, 128, 384), (33, 257, 65)])
def test_float32_stays_float32_and_bfloat16_loses_three_digits(shape):
    apply_device(pick_device("cpu"))
    rows, inner, columns = shape
    a, b = torch.randn(rows, inner, generator=generator(2)), torch.randn(inner, columns, generator=generator(3))
    assert relative_error(a @ b, a, b) < 2e-6
    assert 1e-4 < relative_error(a.bfloat16() @ b.bfloat16(), a, b) < 4e-3


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallopt"), reason="the C library has no mallopt"
)
def test_freed_tensors_are_reused_without_page_faults():
    resource = pytest.importorskip("resource")
    apply_device(pick_device("cpu"))
    for _ in range(3):
        torch.full((2**22,), 1.0)  # 16 MiB: 4,096 pages
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.full((2**22,), 1.0)
    faults = (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 10
    assert faults < 400, f"{faults} faults for each temporary of 4,096 pages"


# --- randomness --------------------------------------------------------------------------------------------------------

NUMBERS = st.lists(st.integers(-(2**70), 2**70), min_size=1, max_size=4).map(tuple)


def draw(name):
    return torch.randint(2**62, (4,), generator=generator(*name)).tolist()


@given(NUMBERS)
def test_a_stream_is_a_function_of_its_name(name):
    assert draw(name) == draw(name)


@given(NUMBERS, NUMBERS)
def test_streams_of_different_names_differ(one, other):
    assert (one == other) == (draw(one) == draw(other))


def test_neighbouring_streams_are_apart():
    names = [
        (1,),
        (2,),
        (1, 0),
        (0, 1),
        (1, 2),
        (12,),
        (1, 23),
        (12, 3),
        (1, -2),
        *itertools.product(range(20), repeat=3),
    ]
    assert len({tuple(draw(name)) for name in names}) == len(set(names))


def test_streams_leave_the_global_randomness_alone():
    state = torch.get_rng_state()
    draw((0, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)


# --- what it can do ------------------------------------------------------------------------------------------------------


def test_peak_keeps_to_its_time_and_leaves_no_trace():
    before = settings()
    started = time.perf_counter()
    # One thread, because two that wait for each other among other programs are the slower the busier the machine.
    peak = measure_peak(Device("cpu", torch.float32, 1), seconds=0.6)
    assert time.perf_counter() - started < 30, "far more than asked for, which leaves room for other programs"
    assert settings() == before
    assert {speed.threads for speed in peak.matmuls} == {1}


def test_peak_is_positive_and_compares_all_threads_with_one():
    before = settings()
    peak = measure_peak(Device("cpu", torch.bfloat16, 2), seconds=0.3)
    assert settings() == before
    assert peak.copy_gb_s > 0
    assert peak.copy_bytes > 0
    assert all(speed.gflops > 0 and speed.size >= 256 and 0 < speed.relative_error < 4e-3 for speed in peak.matmuls)
    assert {speed.name for speed in peak.on_all_threads()} >= {"float32", "bfloat16"}
    assert [speed.name for speed in peak.matmuls if speed.threads == 1] == ["bfloat16"]


def test_what_was_not_measured_is_zero():
    peak = MachinePeak("cpu", 2, (MatmulSpeed("float32", 2, 512, 80.0, 2e-7),), 20.0, 1)
    assert peak.gflops("float32") == 80.0
    assert peak.gflops("float32", threads=1) == peak.gflops("bfloat16") == 0.0


def machine(float32=100.0, onednn=100.0, onednn_error=4e-7, bfloat16=100.0, one=50.0, kind="cpu"):
    """A machine of the given speeds on 4 threads, and of float32 on one."""
    speeds = (
        MatmulSpeed("float32", 4, 1024, float32, 2e-7),
        MatmulSpeed("float32_onednn", 4, 1024, onednn, onednn_error),
        MatmulSpeed("bfloat16", 4, 1024, bfloat16, 3e-3),
        MatmulSpeed("float32", 1, 1024, one, 2e-7),
    )
    return MachinePeak(kind, 4, speeds, 20.0, 1)


@given(st.floats(1.0, 1e5), st.floats(1.0, 1e5), st.floats(1.0, 1e5))
def test_bfloat16_is_recommended_only_when_it_is_faster_by_a_fifth(float32, onednn, bfloat16):
    advice = recommend(machine(float32, onednn, bfloat16=bfloat16))
    assert (advice.dtype == "bfloat16") == (bfloat16 >= 1.2 * max(float32, onednn))


@given(st.floats(1.0, 1e5), st.floats(1.0, 1e5))
def test_all_threads_are_recommended_only_when_faster_by_a_fifth(all_threads, one):
    advice = recommend(machine(float32=all_threads, one=one))
    assert advice.threads == (4 if all_threads / one >= 1.2 else 1)


def test_a_float32_that_rounds_to_bfloat16_is_not_compared_as_float32():
    inexact = machine(float32=100.0, onednn=900.0, onednn_error=3e-3, bfloat16=900.0)
    assert inexact.matmuls[1].relative_error > FLOAT32_ERROR
    assert recommend(inexact).dtype == "bfloat16"


def test_mps_keeps_float32_and_every_reason_speaks_both_languages():
    advice = recommend(machine(bfloat16=1000.0, kind="mps"))
    assert advice.dtype == "float32"
    assert all(
        reasons.keys() == {"pt", "en"} and all(reasons.values())
        for reasons in (advice.dtype_reason, advice.threads_reason)
    )
    alone = recommend(MachinePeak("cpu", 1, (MatmulSpeed("float32", 1, 512, 50.0, 2e-7),), 9.0, 1))
    assert (alone.dtype, alone.threads) == ("float32", 1)
