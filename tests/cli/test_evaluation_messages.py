"""What is said of evaluations stands in both languages with the same places, and everything said is there."""

import ast
import string
from pathlib import Path

import pytest
from rich.text import Text

import dozero
from dozero.cli.evaluation_messages import EVALUATION_MESSAGES, tell

CLI = Path(dozero.__file__).parent / "cli"
SPEAKERS = ("evaluate.py", "evaluation_view.py", "compare.py", "reproduce.py")
BY_FAMILY = ("axis_", "cost_", "at_equal_", "stage_")


def places(text):
    return sorted((name, spec) for _, name, spec, _ in string.Formatter().parse(text) if name is not None)


def calls_of_tell():
    for name in SPEAKERS:
        for node in ast.walk(ast.parse((CLI / name).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "tell":
                yield node


@pytest.mark.parametrize("key", EVALUATION_MESSAGES)
def test_both_languages_have_the_same_places_and_marks(key):
    portuguese, english = EVALUATION_MESSAGES[key]
    assert portuguese.strip()
    assert english.strip()
    assert places(portuguese) == places(english)
    assert "\n" not in portuguese + english
    marks = [sorted(str(span.style) for span in Text.from_markup(text).spans) for text in (portuguese, english)]
    assert marks[0] == marks[1]


def test_whatever_is_said_is_in_the_table_with_just_those_places():
    found = 0
    for call in calls_of_tell():
        match call.args[1]:
            case ast.Constant(value=key) if all(word.arg for word in call.keywords):
                found += 1
                given = {word.arg for word in call.keywords}
                assert given == {name for name, _ in places(EVALUATION_MESSAGES[key][0])}, ast.unparse(call)
    assert found > 20, "the search finds what is said"


def test_no_sentence_is_there_that_nobody_says():
    spoken = {
        node.value
        for name in SPEAKERS
        for node in ast.walk(ast.parse((CLI / name).read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant)
    }
    assert not [key for key in EVALUATION_MESSAGES if key not in spoken and not key.startswith(BY_FAMILY)]


def test_numbers_are_written_as_the_language_does_and_words_are_no_markup():
    assert tell("en", "equal") == "equal (within 5%)"
    assert tell("pt", "at_equal_tokens", amount=12345.0, one=1.5, other=2.0).startswith(
        "com os mesmos 12.345 tokens: 1,5000"
    )
    told = Text.from_markup(tell("en", "kept_in", path="runs/[bold]x")).plain
    assert told == "kept in runs/[bold]x"
