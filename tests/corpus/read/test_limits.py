"""Everything unpacked out of one file is counted together."""

import pytest

from dozero.corpus.read.limits import Limits, Unreadable, make_budget
from dozero.errors import DataError


def test_a_budget_is_free_at_first_and_then_goes_by_the_size():
    limits = Limits(free_bytes=100, ratio=10)
    budget = make_budget(5, limits)
    budget.spend(150)
    with pytest.raises(DataError, match="far beyond its size"):
        budget.spend(1)
    assert budget.spent_bytes == 151


def test_what_cannot_be_read_says_where_and_what():
    assert Unreadable("a.zip!b.txt", "locked") == ("a.zip!b.txt", "locked")
