"""Calibration: an error of nothing for honest predictions, and of just what they are off by for others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozero.eval.calibration import BINS, calibration_error, count_bins, read_bins

pairs = st.lists(st.tuples(st.floats(1e-6, 1.0), st.booleans()), min_size=1, max_size=60)


def error_of(confidence, correct):
    table = count_bins(np.array(confidence), np.array(correct))
    return float(calibration_error(table[None])(np.ones((1, 1)))[0])


@given(pairs)
def test_the_bins_hold_every_prediction_once(told):
    table = count_bins(np.array([p for p, _ in told]), np.array([c for _, c in told]))
    assert table[:, 0].sum() == len(told)
    assert table[:, 1].sum() == sum(c for _, c in told)
    assert table[:, 2].sum() == pytest.approx(sum(p for p, _ in told))
    for b in read_bins(table):
        assert b.low - 1e-9 <= b.confidence <= b.high + 1e-9
        assert 0 <= b.accuracy <= 1


@given(pairs)
def test_the_error_is_the_textbooks(told):
    total = 0.0
    for n in range(BINS):
        inside = [(p, c) for p, c in told if n / BINS < p <= (n + 1) / BINS]
        if inside:
            confidence, accuracy = (sum(column) / len(inside) for column in zip(*inside, strict=True))
            total += len(inside) / len(told) * abs(confidence - accuracy)
    assert error_of(*zip(*told, strict=True)) == pytest.approx(total, abs=1e-9)


def test_honest_predictions_have_no_error_and_boasting_has_its_size():
    assert error_of([0.75] * 4, [True, True, True, False]) == pytest.approx(0)
    assert error_of([0.95] * 4, [True, True, False, False]) == pytest.approx(0.45)


def test_documents_add_up():
    confidence, correct = np.array([0.2, 0.9, 0.9, 0.4]), np.array([False, True, False, True])
    tables = np.stack([count_bins(confidence[:2], correct[:2]), count_bins(confidence[2:], correct[2:])])
    assert calibration_error(tables)(np.ones((1, 2)))[0] == pytest.approx(error_of(confidence, correct))
