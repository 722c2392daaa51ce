"""Sentences on export and import stand in both languages with the same places, and each is said."""

import ast
import string
from pathlib import Path

import pytest
from rich.text import Text

import dozero.cli
from dozero.cli.interop_messages import INTEROP_MESSAGES, say_move

CLI = Path(dozero.cli.__file__).parent


def places(text):
    return sorted((name, spec) for _, name, spec, _ in string.Formatter().parse(text) if name is not None)


@pytest.mark.parametrize("key", INTEROP_MESSAGES)
def test_both_languages_have_the_same_places_and_marks(key):
    portuguese, english = INTEROP_MESSAGES[key]
    assert portuguese.strip()
    assert english.strip()
    assert places(portuguese) == places(english)
    marks = [[str(span.style) for span in Text.from_markup(text).spans] for text in (portuguese, english)]
    assert marks[0] == marks[1]


def test_every_sentence_is_said_and_every_one_said_is_there():
    said = set()
    for file in ("export.py", "import_.py"):
        for call in ast.walk(ast.parse((CLI / file).read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "say_move":
                key = call.args[1].value
                said.add(key)
                if all(word.arg for word in call.keywords):
                    assert {word.arg for word in call.keywords} == {
                        name for name, _ in places(INTEROP_MESSAGES[key][0])
                    }
    assert said == set(INTEROP_MESSAGES)


def test_what_is_filled_in_is_shown_as_it_is():
    told = say_move("pt", "parity_chat_theirs", engine="[bold]x[/]")
    assert Text.from_markup(told).plain == "a conversa, em [bold]x[/]:"
