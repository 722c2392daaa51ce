"""Tasks: read whole or refused with one line that says which file, which item, which field."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozero.errors import ConfigError, DataError
from dozero.eval.task import (
    choose_places,
    list_tasks,
    load_task,
    references_of,
    right_answer,
    right_choice,
)

CHOICE = {"q": "2 + 2", "choices": ["3", "4"], "answer": 1}


@pytest.fixture
def write(tmp_path):
    """A function that writes a task and its items, and returns the task's file."""

    def write(toml, *items):
        file = tmp_path / "mine.toml"
        file.write_text(f"[task]\n{toml}\n", encoding="utf-8")
        lines = (item if isinstance(item, str) else json.dumps(item, ensure_ascii=False) for item in items)
        file.with_suffix(".jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return str(file)

    return write


@pytest.mark.parametrize("name", list_tasks())
def test_every_bundled_task_loads_says_what_it_asks_and_whose_it_is(name):
    task = load_task(name)
    assert len(task.items) >= 25
    assert task.config.about
    assert task.config.licence
    for item in task.items:
        assert right_answer(task.config, item)
        assert task.prompt_of(item)
    texts = [json.dumps({k: v for k, v in item.items() if k != "where"}) for item in task.items]
    assert len(set(texts)) == len(texts)


def test_a_prompt_is_filled_from_the_item_and_nothing_else(write):
    file = write('kind = "choice"\nprompt = "{q} = {{x}} {q}?"', {**CHOICE, "x": "{q.__class__}"})
    assert load_task(file).prompt_of(load_task(file).items[0]) == "2 + 2 = {{q.__class__}} 2 + 2?"


def test_examples_stand_before_the_item_and_are_never_the_item_itself(write):
    items = [{"text": f"t{n}", "answer": f"a{n}"} for n in range(5)]
    task = load_task(write('kind = "exact"\nprompt = "{text}:"\nshots = 3\nbetween = "|"', *items))
    for n, item in enumerate(task.items):
        *shots, last = task.prompt_of(item).split("|")
        assert last == f"t{n}:"
        assert len(set(shots)) == 3
        assert all(shot == f"t{shot[1]}: a{shot[1]}" and shot[1] != str(n) for shot in shots)
        assert task.prompt_of(item) == task.prompt_of(item)


def test_examples_of_a_file_of_their_own(write, tmp_path):
    (tmp_path / "shots.jsonl").write_text('{"text": "s", "answer": "yes"}\n')
    task = load_task(
        write('kind = "exact"\nprompt = "{text}"\nshots = 2\nexamples = "shots.jsonl"', {"text": "t", "answer": "no"})
    )
    assert task.prompt_of(task.items[0]) == "s yes\n\nt"


def test_labels_not_listed_are_those_that_occur(write):
    task = load_task(write('kind = "label"\nprompt = "{t}"', {"t": "a", "answer": "pos"}, {"t": "b", "answer": "neg"}))
    assert task.config.labels == ("neg", "pos")


def test_a_choice_is_named_by_its_place_or_itself(write):
    task = load_task(write('kind = "choice"\nprompt = "{q}"', CHOICE, {**CHOICE, "answer": "4"}))
    assert [right_choice(task.config, item) for item in task.items] == [1, 1]


def test_a_change_of_task_or_items_changes_the_digest(write):
    before = load_task(write('kind = "choice"\nprompt = "{q}"', CHOICE)).digest
    assert load_task(write('kind = "choice"\nprompt = "{q}"', CHOICE)).digest == before
    assert load_task(write('kind = "choice"\nprompt = "{q}?"', CHOICE)).digest != before
    assert load_task(write('kind = "choice"\nprompt = "{q}"', {**CHOICE, "answer": 0})).digest != before


@given(st.integers(1, 60), st.integers(0, 70))
def test_a_limit_takes_some_of_the_items_in_order_and_always_the_same(count, limit):
    chosen = choose_places(count, limit)
    assert len(chosen) == (min(limit, count) if limit else count)
    assert chosen == sorted(set(chosen))
    assert set(chosen) <= set(range(count))
    assert choose_places(count, limit) == chosen


def test_several_references(write):
    task = load_task(write('kind = "free"\nprompt = "{q}"', {"q": "a", "answer": ["b", "c"]}))
    assert references_of(task.config, task.items[0]) == ["b", "c"]


@pytest.mark.parametrize(
    ("toml", "item", "error", "what"),
    [
        ('kind = "quiz"', CHOICE, ConfigError, "mine.toml: task.kind: input should be 'text', 'choice'.*got 'quiz'"),
        ("", CHOICE, ConfigError, "task.kind: field required"),
        ('kind = "choice"\nshot = 3', CHOICE, ConfigError, "unknown setting task.shot, did you mean shots"),
        ('kind = "choice"\nshots = "3"', CHOICE, ConfigError, "task.shots: .*integer.*got '3'"),
        ('kind = "choice"\nshots = ', CHOICE, ConfigError, "mine.toml: not valid TOML"),
        ('kind = "choice"\nprompt = "{qq}"', CHOICE, DataError, "jsonl#1: no field 'qq', did you mean 'q'.*got q, choices"),
        ('kind = "choice"', "", DataError, "mine.jsonl: holds no items"),
        ('kind = "choice"\nprompt = "{q}"', "{", DataError, "jsonl#1: not JSON"),
        ('kind = "choice"\nprompt = "{q}"', "[1]", DataError, "jsonl#1: not an object"),
        ('kind = "choice"\nprompt = "{q}"', {**CHOICE, "answer": 2}, DataError, "field 'answer' is wrong; expected one of the choices"),
        ('kind = "choice"\nprompt = "{q}"', {**CHOICE, "answer": True}, DataError, "field 'answer' is wrong"),
        ('kind = "choice"\nprompt = "{q}"', {**CHOICE, "choices": ["3"]}, DataError, "field 'choices' is wrong; expected a list of two"),
        ('kind = "label"\nprompt = "{q}"\nlabels = ["a", "b"]', {"q": "x", "answer": "c"}, DataError, "expected one of a, b"),
        ('kind = "exact"\nprompt = "{q}"', {"q": "x", "answer": 4}, DataError, "expected text, or a list of texts; got 4"),
        ('kind = "text"', {"text": 4}, DataError, "field 'text' is wrong; expected text"),
        ('kind = "text"\ndata = "gone.jsonl"', {"text": "a"}, DataError, "gone.jsonl: no such file of items"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_in_one_line(write, toml, item, error, what):
    with pytest.raises(error) as told:
        load_task(write(toml, item))
    assert "\n" not in str(told.value)
    assert re.search(what, str(told.value)), str(told.value)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("sentimento", "sentimento: unknown task, did you mean sentimento-pt"),
        ("gone.toml", "gone.toml: no such task file"),
    ],
)
def test_an_unknown_task_is_told_with_the_nearest(name, what):
    with pytest.raises(ConfigError, match=what):
        load_task(name)


def test_a_file_that_is_no_task(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text("seed = 0\n")
    with pytest.raises(ConfigError, match=r"not a task; expected one table \[task\]; got seed"):
        load_task(str(file))
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="expected a TOML file in UTF-8"):
        load_task(str(file))
