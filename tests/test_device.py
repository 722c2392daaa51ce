"""What device.py promises: values in, values out; one place that sets anything."""

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
    Device,
    apply_device,
    auto_dtype,
    bfloat16_is_listed,
    generator,
    multiplies_bfloat16,
    pick_device,
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
