"""How events look: a line of blocks, a bar on a terminal, sentences in two languages, or JSON and nothing else."""

import json
import sys
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozero.artifact import Manifest
from dozero.cli.display import SPARK_WIDTH, SPARKS, Display, command_line, event_tree, show_stop, sparkline
from dozero.eval.surprise import Surprise
from dozero.pipeline.events import StageDone
from dozero.train.events import (
    Diverged,
    Evaluated,
    Event,
    Finished,
    LayerFacts,
    Observed,
    Replanned,
    Sampled,
    Saved,
    Started,
    Stepped,
    Stopped,
    Unsaved,
)

HELDOUT = Surprise(nats=20.0, tokens=16, documents=4, characters=16, bytes=12)
EVENTS = (
    StageDone("corpus", Path("ws/work/corpus"), Manifest(kind="corpus", counts={"kept": 3}), made=True),
    StageDone("dataset", Path("ws/work/dataset"), Manifest(kind="dataset"), made=False),
    Started(4, 12, 2784, ((Path("ws/step-8.broken"), "size differs"),), ("torch: 2.7 -> 2.8",)),
    Stepped(5, 12, 2.5, 0.7, 1.0, 1234, 5678.9, 0.5),
    Observed(
        8, 0.5, (LayerFacts("layer 0 mlp", 0.5, 2.0, 0.01, 1.0, 3.0, 0.25, 0.0), LayerFacts("head", 0.5, 2.0, 0.01)), 9
    ),
    Evaluated(8, 2.25, 3.5),
    Sampled(8, "coração"),
    Saved(8, Path("ws/runs/main/checkpoints/step-000008")),
    Unsaved(8, "disk full"),
    Diverged(9, "raise", "the loss jumped", "loss 9.5", tuple(range(20)), 8),
    Diverged(9, "skip", "the loss jumped", "loss 9.5", (3, 4), 9),
    Diverged(9, "rollback", "the loss jumped", "loss 9.5", (3, 4), 5),
    Replanned(8, 10),
    Stopped(9, 12),
    Finished(12, Path("ws/runs/main/model"), HELDOUT, 1.5),
)
LOSSES = st.lists(st.floats(0.001, 20, allow_nan=False), min_size=1, max_size=200)


def display(lang="en", **options):
    return Display(lang, **options)


# --- the line of blocks ------------------------------------------------------------------------------------------


@given(values=LOSSES)
def test_a_sparkline_is_short_and_made_of_blocks(values):
    line = sparkline(values)
    assert 1 <= len(line) <= SPARK_WIDTH
    assert set(line) <= set(SPARKS)
    if len(values) <= SPARK_WIDTH:
        assert len(line) == len(values)


@given(values=st.lists(st.integers(1, 1000), min_size=1, max_size=SPARK_WIDTH, unique=True))
def test_higher_values_stand_higher(values):
    heights = [SPARKS.index(block) for block in sparkline([float(v) for v in values])]
    ordered = sorted(zip(values, heights, strict=True))
    assert [h for _, h in ordered] == sorted(heights)
    if len(values) > 1:
        assert (min(heights), max(heights)) == (0, len(SPARKS) - 1)


@given(
    values=st.lists(st.integers(0, 1000).map(float), min_size=1, max_size=100), by=st.sampled_from([0.25, 2.0, 64.0])
)
def test_only_the_shape_shows(values, by):
    assert sparkline([v * by for v in values]) == sparkline(values)


def test_long_runs_are_averaged_and_equal_values_lie_flat():
    assert sparkline([1.0] * 7) == SPARKS[0] * 7
    assert sparkline([8.0, 4.0, 2.0, 0.0], width=2) == SPARKS[-1] + SPARKS[0]
    assert sparkline([float(v) for v in range(8)]) == SPARKS


# --- JSON --------------------------------------------------------------------------------------------------------


def test_every_type_of_event_is_tried_here():
    assert {type(event) for event in EVENTS} == {*get_args(Event), StageDone}


@pytest.mark.parametrize("event", EVENTS, ids=lambda e: type(e).__name__)
def test_an_event_as_plain_data_keeps_its_name_and_every_field(event):
    tree = event_tree(event)
    assert json.loads(json.dumps(tree, ensure_ascii=False)) == tree
    assert tree["event"] == type(event).__name__
    assert set(tree) == {"event"} | {field.name for field in fields(event)}
    for field in fields(event):
        value = getattr(event, field.name)
        if isinstance(value, Path):
            assert tree[field.name] == str(value)
        elif isinstance(value, int | float | str):
            assert tree[field.name] == value


def test_the_exam_is_told_in_all_its_units():
    heldout = event_tree(EVENTS[-1])["heldout"]
    assert heldout["bits_per_character"] == HELDOUT.bits_per_character
    assert heldout["bits_per_byte"] == HELDOUT.bits_per_byte
    assert heldout["nats_per_document"] == 5.0
    assert heldout["nats"] == 20.0


def test_as_json_there_is_a_line_for_each_event_and_nothing_else(capsys):
    with display(as_json=True) as quiet:
        for event in EVENTS:
            quiet.show(event)
        quiet.say("data")
        quiet.line("[bold]nothing[/]")
        show_stop(quiet, Stopped(1, 2))
    out, err = capsys.readouterr()
    assert [json.loads(line)["event"] for line in out.splitlines()] == [type(e).__name__ for e in EVENTS]
    assert err == ""
    assert "coração" in out, "letters stay letters"


# --- sentences ---------------------------------------------------------------------------------------------------


def shown(capsys, lang, events):
    with display(lang) as one:
        for event in events:
            one.show(event)
    out, err = capsys.readouterr()
    return out + err


@pytest.mark.parametrize("lang", ["pt", "en"])
def test_events_that_matter_to_people_are_told(capsys, lang):
    text = shown(capsys, lang, EVENTS)
    for part in ("ws/work/corpus", "ws/work/dataset", "size differs", "2.7 -> 2.8", "2.250", "coração", "10"):
        assert part in text, part


def test_both_languages_tell_as_much(capsys):
    assert shown(capsys, "pt", EVENTS).count("\n") == shown(capsys, "en", EVENTS).count("\n")


def test_a_run_from_the_start_does_not_say_that_it_continues(capsys):
    assert shown(capsys, "en", [Started(0, 12, 2784), Sampled(0, "x")]) == ""
    assert "continues from step 4 of 12" in shown(capsys, "en", [Started(4, 12, 2784)])


def test_that_the_end_moves_is_told_once(capsys):
    assert shown(capsys, "en", [Replanned(8, 10), Replanned(9, 11)]).count("\n") == 1


def test_what_looks_like_markup_is_shown_as_it_is(capsys):
    with display() as one:
        one.say("saved", path="a[b]/[/] [red]", seconds=1.0)
        one.show(Started(0, 1, 1, ((Path("[bold]"), "[/]"),)))
    out, err = capsys.readouterr()
    assert "a[b]/[/] [red]" in out
    assert "[bold] ([/])" in out + err


def test_long_lines_are_not_broken(capsys):
    display().say("new_made", file="x" * 500)
    assert "x" * 500 in capsys.readouterr().out


# --- a terminal --------------------------------------------------------------------------------------------------


@pytest.fixture
def _terminal(monkeypatch):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("TERM", "xterm-256color")


@pytest.mark.usefixtures("_terminal")
def test_on_a_terminal_a_bar_shows_loss_speed_and_place_and_then_goes(capsys):
    with display("pt") as one:
        for step in range(1, 5):
            one.show(Stepped(step, 4, 3.0 - step / 4, 1.0, 1.0, step * 100, 12345.6, step / 10))
        one.show(Evaluated(4, 2.0))
        one.show(Sampled(4, "palavra"))
        one.show(EVENTS[-1])
        one.line("depois")
    out, err = capsys.readouterr()
    assert "4/4" in err
    assert "loss 2.000" in err
    assert "12.346 tokens/s" in err
    assert "palavra" in err, "above the bar"
    assert "depois" in out, "results are on stdout again"
    assert "\x1b[?25h" in err, "the cursor is back"


@pytest.mark.usefixtures("_terminal")
def test_the_cursor_comes_back_after_an_error(capsys):
    def fail():
        with display() as one:
            one.show(Stepped(1, 4, 3.0, 1.0, 1.0, 100, 10.0, 0.1))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert "\x1b[?25h" in capsys.readouterr().err


def test_into_a_pipe_there_is_no_bar(capsys):
    assert shown(capsys, "en", [Stepped(1, 4, 3.0, 1.0, 1.0, 100, 10.0, 0.1)]) == ""


# --- how to go on ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["/usr/bin/dozero", "hello", "--out", "my ws"], "dozero hello --out 'my ws'"),
        (["/x/dozero/__main__.py", "train", "run.toml", "seed=3"], "dozero train run.toml seed=3"),
        (["dozero", "hello", "--fresh", "--lang", "pt"], "dozero hello --lang pt"),
    ],
)
def test_the_command_given_is_told_again_but_never_anew(monkeypatch, capsys, argv, told):
    monkeypatch.setattr(sys, "argv", argv)
    assert command_line() == told
    with display() as one:
        show_stop(one, Stopped(5, 12))
    assert capsys.readouterr().out.splitlines() == [
        "interrupted and saved at step 5 of 12; the same command continues:",
        f"  {told}",
    ]
