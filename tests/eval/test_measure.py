"""Measures say when they are at chance."""

import json

import pytest

from dozero.eval.bootstrap import Interval
from dozero.eval.measure import Measure, measure_tree

NAN = float("nan")


@pytest.mark.parametrize(
    ("interval", "chance", "more_is_better", "verdict"),
    [
        (Interval(0.6, 0.55, 0.65), 0.5, True, "better"),
        (Interval(0.6, 0.45, 0.75), 0.5, True, "at_chance"),
        (Interval(0.3, 0.25, 0.35), 0.5, True, "worse"),
        (Interval(1.2, 1.1, 1.3), 2.0, False, "better"),
        (Interval(1.9, 1.7, 2.1), 2.0, False, "at_chance"),
        (Interval(2.9, 2.7, 3.1), 2.0, False, "worse"),
        (Interval(0.6, 0.55, 0.65), None, True, None),
        (Interval(1.0, NAN, NAN), 0.5, True, "at_chance"),  # one item: nobody can tell
    ],
)
def test_at_chance_is_what_the_interval_does_not_rule_out(interval, chance, more_is_better, verdict):
    assert Measure("m", interval, chance, more_is_better).verdict == verdict


def test_a_measure_is_json_even_where_its_interval_is_not_known():
    tree = measure_tree(Measure("m", Interval(1.0, NAN, NAN)))
    assert json.loads(json.dumps(tree, allow_nan=False)) == {"name": "m", "value": 1.0, "low": None, "high": None}
    told = measure_tree(Measure("m", Interval(0.5, 0.4, 0.6), 0.5))
    assert (told["chance"], told["verdict"]) == (0.5, "at_chance")
