"""Every measure has a name in both languages."""

from dozero.eval.minimal_pairs import PHENOMENA
from dozero.eval.names import NAMES, SHARES, name_measure


def test_every_phenomenon_and_share_has_a_name():
    wanted = {name for makers in PHENOMENA.values() for name in makers} | SHARES
    assert wanted <= set(NAMES)
    for name in NAMES:
        assert all(NAMES[name])
        assert name_measure("pt", name) == NAMES[name][0]


def test_a_measure_that_somebody_added_is_its_own_name():
    assert name_measure("pt", "my_score") == "my_score"
