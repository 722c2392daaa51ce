"""Minutes are a positive, finite time."""

import math

import pytest

from dozero.cli.options import check_minutes
from dozero.errors import ConfigError


@pytest.mark.parametrize("minutes", [None, 0.1, 1, 1e6])
def test_time_passes(minutes):
    check_minutes(minutes)


@pytest.mark.parametrize("minutes", [0, -1, math.inf, -math.inf, math.nan])
def test_no_time_is_refused_with_what_was_given_and_what_to_give(minutes):
    with pytest.raises(ConfigError, match=r"--minutes: must be more than 0; got .*Try: --minutes 1"):
        check_minutes(minutes)
