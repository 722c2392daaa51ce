"""What measure.py promises: figures that were measured, nothing left changed, and advice that follows from them."""

import time

import torch
from hypothesis import given
from hypothesis import strategies as st

from dozero.device import FLOAT32_ERROR, Device
from dozero.measure import MachinePeak, MatmulSpeed, measure_peak, recommend


def settings():
    """What a measurement changes on its way."""
    return torch.get_num_threads(), torch.get_float32_matmul_precision()


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
