"""Intervals: they hold what they say they hold, narrow as the items grow, and a paired difference sees what two figures hide."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozero.eval.bootstrap import Interval, difference_of, interval_of, mean, ratio


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=40))
def test_the_value_is_that_of_all_items_and_lies_within(values):
    data = np.array(values)
    found = interval_of(mean(data), len(data), draws=200)
    assert found.value == pytest.approx(data.mean())
    assert found.low - 1e-9 <= found.value <= found.high + 1e-9 or len(set(values)) > 1
    assert data.min() - 1e-9 <= found.low <= found.high <= data.max() + 1e-9


def test_the_interval_holds_the_truth_19_times_in_20():
    rng = np.random.default_rng(0)
    held = 0
    for n in range(300):
        data = rng.normal(3.0, 2.0, size=80)
        held += interval_of(mean(data), 80, seed=n, draws=400).holds(3.0)
    assert 0.90 <= held / 300 <= 0.98


def test_it_is_as_wide_as_the_standard_error_says():
    data = np.random.default_rng(1).normal(size=1000)
    found = interval_of(mean(data), 1000, draws=4000)
    assert found.high - found.low == pytest.approx(2 * 1.96 * data.std() / np.sqrt(1000), rel=0.06)


def test_the_same_seed_gives_the_same_interval_however_the_draws_are_portioned(monkeypatch):
    data = np.arange(50.0)
    whole = interval_of(mean(data), 50)
    assert interval_of(mean(data), 50) == whole
    assert interval_of(mean(data), 50, seed=1) != whole
    monkeypatch.setattr("dozero.eval.bootstrap.VALUES_AT_ONCE", 50 * 7)
    assert interval_of(mean(data), 50) == whole


def test_a_ratio_of_sums_is_not_the_mean_of_ratios():
    found = interval_of(ratio(np.array([1.0, 9.0]), np.array([1.0, 3.0])), 2)
    assert found.value == 2.5
    assert (found.low, found.high) == (1.0, 3.0)


def test_of_one_item_nobody_knows_how_sure_it_is():
    found = interval_of(mean(np.array([2.0])), 1)
    assert found.value == 2.0
    assert np.isnan(found.low)
    assert np.isnan(found.high)
    assert not found.holds(2.0)


def test_pairing_finds_a_small_difference_between_noisy_items():
    rng = np.random.default_rng(2)
    hard = rng.normal(0, 10, size=400)  # what makes an item hard for both
    first, second = hard + rng.normal(0, 0.1, 400), hard + 0.05 + rng.normal(0, 0.1, 400)
    apart = interval_of(mean(first), 400), interval_of(mean(second), 400)
    assert apart[0].holds(apart[1].value)  # one by one they cannot be told apart
    found = difference_of(mean(first), mean(second), 400)
    assert found.is_real
    assert found.p < 0.01
    assert found.interval.value == pytest.approx(0.05, abs=0.02)


def test_no_difference_is_seldom_called_real():
    rng = np.random.default_rng(3)
    called = 0
    for n in range(200):
        first, second = rng.normal(size=(2, 60))
        called += difference_of(mean(first), mean(second), 60, seed=n, draws=300).is_real
    assert called / 200 <= 0.11


def test_a_model_and_itself_do_not_differ():
    data = np.arange(10.0)
    found = difference_of(mean(data), mean(data), 10)
    assert found.interval == Interval(0.0, 0.0, 0.0)
    assert not found.is_real
    assert found.p == 1.0


def test_p_is_never_none_at_all():
    found = difference_of(mean(np.zeros(50)), mean(np.ones(50)), 50)
    assert found.is_real
    assert 0 < found.p <= 2 / 1001
