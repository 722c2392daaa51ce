"""A text that says one thing repeats itself wholly, one that says all once not at all."""

from hypothesis import given
from hypothesis import strategies as st

from dozero.generate.variety import distinct_share, repeated_share

texts = st.lists(st.lists(st.integers(0, 3), max_size=12), max_size=4)


@given(texts, st.integers(1, 5))
def test_shares_by_counting(several, n):
    runs = [[tuple(text[i : i + n]) for i in range(len(text) - n + 1)] for text in several]
    total = sum(map(len, runs))
    again = sum(run in own[:i] for own in runs for i, run in enumerate(own))
    assert abs(repeated_share(several, n) - (again / total if total else 0)) < 1e-12
    everything = [run for own in runs for run in own]
    first = sum(run not in everything[:i] for i, run in enumerate(everything))
    assert abs(distinct_share(several, n) - (first / total if total else 0)) < 1e-12


def test_extremes():
    assert repeated_share([[1] * 104]) == 1 - 1 / 101
    assert repeated_share([list(range(50))]) == 0
    assert distinct_share([[7] * 3] * 4, 3) == 1 / 4
    assert distinct_share([[1, 2], [3, 4]], 2) == 1
