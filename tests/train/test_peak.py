"""What peak.py promises: a peak is measured once, never a neighbour's leavings, and no cache ever fails a run."""

import json

import pytest
import torch

from dozero.device import Device
from dozero.measure import MachinePeak, MatmulSpeed
from dozero.train import peak as peaks
from dozero.train.kept import kept_file
from dozero.train.peak import FILE, WORTH_MEASURING_S, find_peak, keep_peak, known_peak, measure_and_keep

CPU = Device("cpu", torch.float32, 2)
BF16 = Device("cpu", torch.bfloat16, 2)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DOZERO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def peak_of(*speeds, threads=2):
    matmuls = tuple(MatmulSpeed(name, n, 512, gflops, error) for name, n, gflops, error in speeds)
    return MachinePeak("cpu", threads, matmuls, 10.0, 1)


def test_each_dtype_has_the_fastest_of_its_own_products_on_all_threads():
    keep_peak(BF16, peak_of(
        ("float32", 2, 200.0, 3e-7), ("float32_onednn", 2, 500.0, 4e-7), ("bfloat16", 2, 900.0, 3e-3),
        ("bfloat16", 1, 9999.0, 3e-3),
    ))  # fmt: skip
    assert known_peak(CPU) == 500e9
    assert known_peak(BF16) == 900e9
    assert known_peak(Device("cpu", torch.float32, 1)) is None, "other threads have another peak"


def test_products_that_round_like_bfloat16_are_not_float32():
    keep_peak(CPU, peak_of(("float32", 2, 200.0, 3e-7), ("float32_onednn", 2, 900.0, 3e-3)))
    assert known_peak(CPU) == 200e9
    assert known_peak(BF16) is None


def test_the_faster_of_two_measurements_is_kept():
    for gflops in (300.0, 500.0, 100.0):
        keep_peak(CPU, peak_of(("float32", 2, gflops, 3e-7)))
    assert known_peak(CPU) == 500e9
    assert len(json.loads(kept_file(FILE).read_text())) == 1


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b'{"a": 1}'])
def test_a_damaged_cache_is_no_cache_and_is_mended(content, cache):
    cache.mkdir()
    kept_file(FILE).write_bytes(content)
    assert known_peak(CPU) is None
    keep_peak(CPU, peak_of(("float32", 2, 300.0, 3e-7)))
    assert known_peak(CPU) == 300e9


def test_a_figure_that_is_none_is_not_taken(cache):
    keep_peak(CPU, peak_of(("float32", 2, 300.0, 3e-7)))
    (key,) = json.loads(kept_file(FILE).read_text())
    for wrong in ("fast", None, 0, -1):
        kept_file(FILE).write_text(json.dumps({key: wrong}))
        assert known_peak(CPU) is None


def test_a_cache_that_cannot_be_written_costs_nothing(cache):
    cache.write_text("a file where the folder should be")
    keep_peak(CPU, peak_of(("float32", 2, 300.0, 3e-7)))
    assert known_peak(CPU) is None


def test_a_short_run_does_not_pay_for_a_measurement(monkeypatch):
    measured = []
    real = peaks.measure_peak
    monkeypatch.setattr(peaks, "measure_peak", lambda device, seconds: measured.append(1) or real(device, 0.2))
    monkeypatch.setattr(peaks, "QUIET_SHARE", 0.0)  # other tests may run beside this one
    assert find_peak(CPU, WORTH_MEASURING_S - 1) is None
    assert measured == []
    assert find_peak(CPU, WORTH_MEASURING_S) > 1e9
    assert find_peak(CPU, WORTH_MEASURING_S) == known_peak(CPU)
    assert measured == [1], "once"


def test_what_neighbours_leave_is_not_kept(monkeypatch):
    monkeypatch.setattr(peaks, "QUIET_SHARE", 2.0)  # nobody is ever that alone
    assert measure_and_keep(CPU, 0.2).matmuls
    assert known_peak(CPU) is None
