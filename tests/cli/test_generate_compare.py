"""Rules are read as they are written, over neutral settings, and their texts measured."""

import pytest

from dozero.cli.generate_compare import NAMES, NEUTRAL, rule_sets
from dozero.errors import ConfigError
from dozero.settings import GenerateConfig


def test_each_rule_stands_alone_whatever_the_runs_own_settings():
    run = GenerateConfig(temperature=0.3, min_p=0.5, max_tokens=7, stop=(".",))
    sets = rule_sets("greedy, t=0.8 ,top_p=0.9,t=0.7+top_k=5+repetition=1.2", run)
    assert list(sets) == ["greedy", "t=0.8", "top_p=0.9", "t=0.7+top_k=5+repetition=1.2"]
    greedy, warm, nucleus, several = sets.values()
    assert (greedy.temperature, warm.temperature, nucleus.temperature, nucleus.top_p) == (0, 0.8, 1, 0.9)
    assert (several.temperature, several.top_k, several.repetition_penalty) == (0.7, 5, 1.2)
    assert all((c.max_tokens, c.stop) == (7, (".",)) for c in sets.values())
    assert all(c.min_p == 0 for c in sets.values())


def test_neutral_is_what_the_settings_call_so():
    assert {name: getattr(GenerateConfig(), name) for name in NAMES} == NEUTRAL


@pytest.mark.parametrize("words", ["", "hot", "t", "t=", "top_k=x", "greedy+t=1"])
def test_what_is_no_rule_is_refused(words):
    with pytest.raises(ConfigError, match="--compare"):
        rule_sets(words, GenerateConfig())
