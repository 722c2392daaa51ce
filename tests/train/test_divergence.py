"""What divergence.py promises: decisions that follow from the settings and what was decided before, and from nothing else."""

from hypothesis import given
from hypothesis import strategies as st

from dozero.dataset.batch import window_of_step
from dozero.errors import DivergedError
from dozero.testing import tiny_config
from dozero.train.divergence import (
    Rollback,
    choose_action,
    go_back,
    last_regular_save,
    lower_rates,
    may_change_policy,
    passed_over,
    rollback_facts,
    way_out,
)


def config_of(policy, *more):
    return tiny_config(f"train.on_divergence={policy}", *more)


@given(turns=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 5)), max_size=6))
def test_however_often_it_goes_back_no_window_is_used_that_led_there(turns):
    """What a run trains on is every window in order but those of the steps gone back over."""
    rollbacks, error = [], DivergedError("bad", got="loss nan")
    for back_to, more in turns:
        before = passed_over(rollbacks)
        used = {window_of_step(step, before) for step in range(back_to, back_to + more + 1)}
        rollbacks.append(go_back(rollbacks, back_to + more, back_to, error))
        assert set(rollbacks[-1].windows) == used
        assert not used & set(before), "none is passed over twice"
    passed = passed_over(rollbacks)
    windows = [window_of_step(step, passed) for step in range(60)]
    assert windows == [window for window in range(60 + len(passed)) if window not in passed][:60]


@given(step=st.integers(0, 10**6), every=st.integers(1, 1000))
def test_the_last_regular_save_is_due_and_not_later(step, every):
    back_to = last_regular_save(step, every)
    assert back_to % every == 0
    assert 0 <= step - back_to < every


def test_policies_and_their_limits():
    back = [Rollback(7, 5, [5, 6, 7], "", "")] * 2
    skip, rollback = (config_of(name, "train.most_skips=2") for name in ("skip", "rollback"))
    assert [choose_action(skip, done, [], 0) for done in (0, 1, 2, 3)] == ["skip", "skip", "raise", "raise"]
    assert [choose_action(rollback, 9, back[:n], 5) for n in (0, 1, 2)] == ["rollback", "rollback", "raise"]
    assert choose_action(rollback, 9, back, 10) == "rollback", "another checkpoint"
    assert choose_action(config_of("raise"), 0, [], 0) == "raise"


def test_going_back_twice_passes_over_twice_as_much():
    error = DivergedError("bad", got="loss nan")
    first = go_back([], 7, 5, error)
    second = go_back([first], 6, 5, error)
    assert (first.windows, second.windows) == ([5, 6, 7], [8, 9])
    assert passed_over([second, first]) == [5, 6, 7, 8, 9]
    assert rollback_facts(first)["at"] == 8


def test_the_policy_may_change_as_long_as_none_was_used():
    raising, skip, rollback = (config_of(name) for name in ("raise", "skip", "rollback"))
    assert may_change_policy(raising, skip)
    assert may_change_policy(raising, config_of("raise", "train.spike_sigma=0"))
    assert not may_change_policy(skip, rollback)
    assert not may_change_policy(raising, config_of("skip", "seed=3"))
    assert lower_rates(raising.optim) in way_out(raising)
    assert "on_divergence" not in way_out(skip)
