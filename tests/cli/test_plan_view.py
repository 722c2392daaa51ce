"""What plan_view.py promises: what the minutes will give is told before they are spent, in both languages, and after."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from dozero.cli.display import Display
from dozero.cli.plan_view import off_by, tell_outcome, tell_plan
from dozero.dataset.stream import Collection, TokenStream
from dozero.eval.surprise import Surprise
from dozero.testing import tiny_config
from dozero.train.events import Finished
from dozero.train.foretold import foretell_plan, keep_foretold
from dozero.train.plan import Plan

PLAN = Plan(
    tiny_config(), asked_s=600.0, seconds=600.0, step_s=0.1, steps=5000, epochs=1.5, bits_per_byte=2.0,
    bits_if_new=1.99, error=0.02, is_rough=False, is_shortened=False,
)  # fmt: skip
HELDOUT = TokenStream(
    (np.zeros(401, dtype=np.uint16),), np.zeros(1, dtype=np.int64), (Collection("", 1, 400, 1000, 1200),)
)


def told(capsys, lang="en", *, as_json=False, by_character=False, **changes):
    tell_plan(Display(lang, as_json=as_json), replace(PLAN, **changes), HELDOUT, by_character=by_character)
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("lang", "lines"), [("en", ["plan:", "exam foretold: 2.000"]), ("pt", ["plano:", "prova prevista: 2.000"])]
)
def test_what_is_trained_and_the_loss_to_expect_are_told(lang, lines, capsys):
    out = told(capsys, lang)
    assert all(line in out for line in lines), out
    assert len(out.splitlines()) == 2


def test_by_character_it_is_bits_per_character(capsys):
    assert "2.400 bits per letter" in told(capsys, by_character=True)


def test_a_text_that_is_enough_for_a_part_of_the_time_is_told(capsys):
    out = told(capsys, seconds=240.0, epochs=6.0, is_shortened=True)
    assert "enough for about 4.0 of the 10 minutes: once seen 6.0 times" in out
    assert "o texto só basta para uns 4.0 dos 10 minutos" in told(
        capsys, "pt", seconds=240.0, epochs=6.0, is_shortened=True
    )


def test_what_repeated_text_costs_is_told_where_it_costs_much(capsys):
    assert "repetition" not in told(capsys)
    assert "the repetition costs 25.0%" in told(capsys, bits_if_new=1.6)


def test_other_texts_are_told_roughly(capsys):
    assert "roughly" in told(capsys, is_rough=True)


def test_as_json_it_is_one_event(capsys):
    out = told(capsys, as_json=True)
    assert json.loads(out) == {"event": "Planned", **vars(foretell_plan(PLAN))}


def test_what_came_is_held_against_what_was_foretold(tmp_path, capsys):
    finished = Finished(9, tmp_path, Surprise(2.05 * math.log(2) * 100, 50, 1, 100, 100), 60.0)
    tell_outcome(Display("en"), tmp_path, finished)
    assert capsys.readouterr().out == "", "nothing was foretold"
    keep_foretold(PLAN, tmp_path)
    tell_outcome(Display("en"), tmp_path, finished)
    assert "2.0000 bits per byte foretold, 2.0500 reached (+2.5%)" in capsys.readouterr().out
    assert off_by(foretell_plan(PLAN), 1.9) == pytest.approx(-0.05)
