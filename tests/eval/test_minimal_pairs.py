"""Minimal pairs: thousands, each different, each differing in one place; a model that knows the right ones finds them."""

from difflib import SequenceMatcher

import numpy as np
import pytest
import torch

from dozero.errors import ConfigError, DataError
from dozero.eval.minimal_pairs import PHENOMENA, MinimalPair, make_pairs, mark_pairs
from dozero.eval.score import score_texts
from dozero.testing import random_language_model


@pytest.mark.no_cover
@pytest.mark.parametrize("lang", PHENOMENA)
def test_there_are_thousands_and_no_two_alike(lang):
    pairs = make_pairs(lang)
    assert len(pairs) >= 4000
    assert len(set(pairs)) == len(pairs)
    for name in PHENOMENA[lang]:
        assert sum(pair.phenomenon == name for pair in pairs) >= 300, name
    rights = {pair.right for pair in pairs}
    assert not rights & {pair.wrong for pair in pairs}


@pytest.mark.parametrize("lang", PHENOMENA)
def test_each_differs_in_one_place(lang):
    for pair in make_pairs(lang, per_phenomenon=60):
        a, b = pair.right.split(), pair.wrong.split()
        blocks = SequenceMatcher(None, a, b, autojunk=False).get_opcodes()
        assert sum(tag != "equal" for tag, *_ in blocks) == 1, pair
        assert pair.right[0].isupper()
        assert pair.right[-1] in ".?"


@pytest.mark.parametrize("lang", PHENOMENA)
def test_the_same_seed_gives_the_same_pairs(lang):
    assert make_pairs(lang, 20, seed=1) == make_pairs(lang, 20, seed=1)
    assert make_pairs(lang, 20, seed=1) != make_pairs(lang, 20, seed=2)
    assert set(make_pairs(lang, 10)) <= set(make_pairs(lang, 20))


def test_a_language_without_pairs_is_refused():
    with pytest.raises(ConfigError, match="no minimal pairs in this language; expected pt or en; got 'fr'"):
        make_pairs("fr")


def test_the_right_one_must_be_the_likelier():
    model = random_language_model(["abcdef ."], context=16)
    pairs = [MinimalPair("x" if n % 3 else "y", f"ab{c}.", f"ba{c}.") for n, c in enumerate("abcdef" * 3)]
    outcome = mark_pairs(model, pairs)
    scores = np.array([s.logprob for s in score_texts(model, [("", t) for p in pairs for t in p[1:]])]).reshape(-1, 2)
    right = scores[:, 0] > scores[:, 1]
    named = {m.name: m.interval.value for m in outcome.measures}
    assert named["accuracy"] == pytest.approx(right.mean())
    assert named["y"] == pytest.approx(right[::3].mean())
    assert [m.chance for m in outcome.measures] == [0.5] * 3


def test_a_tie_is_no_right_answer():
    model = random_language_model(["abcdef ."], context=16)
    with torch.no_grad():
        model.model.lm_head.weight.zero_()
    assert mark_pairs(model, [MinimalPair("x", "ab.", "ba.")] * 4).measures[0].interval.value == 0.0


def test_letters_that_a_model_never_saw_are_told():
    with pytest.raises(DataError, match="characters that the model never saw"):
        mark_pairs(random_language_model(["abc"]), make_pairs("pt", 5))
