"""Every sentence stands in both languages with the same places to fill, and everything that is said has a sentence."""

import ast
import string
from pathlib import Path

import pytest
from rich.errors import MarkupError
from rich.text import Text

import dozero
from dozero.cli.messages import LANGUAGE_NAMES, MESSAGES, language_name, number, say

PACKAGE = Path(dozero.__file__).parent
REASON = "reason:"
# Said by a name put together when it is said; each is held by a test of its own below.
BY_FAMILY = (
    "rung_",
    "attention_",
    "compile_",
    "verdict_",
    "stage_",
    "title_",
    "unit_",
    "words_again",
    "stories_again",
    "finding_",
    REASON,
)


class Anything:
    """A value for every place, whatever its format."""

    def __format__(self, spec):
        return "*"


def places(text):
    return sorted((name, spec) for _, name, spec, _ in string.Formatter().parse(text) if name is not None)


def trees(folder):
    """The files of a package by name, parsed."""
    return {file.name: ast.parse(file.read_text(encoding="utf-8")) for file in (PACKAGE / folder).glob("*.py")}


def calls(folder, name):
    """Calls of a function or method of this name."""
    for tree in trees(folder).values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", None)) == name:
                yield node


def texts(node):
    """Every string constant in a tree."""
    return {n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)}


@pytest.mark.parametrize("key", MESSAGES)
def test_both_languages_have_the_same_places_and_the_same_marks(key):
    portuguese, english = MESSAGES[key]
    assert portuguese.strip()
    assert english.strip()
    assert places(portuguese) == places(english)
    assert "\n" not in portuguese + english
    marks = [sorted(str(span.style) for span in Text.from_markup(text).spans) for text in (portuguese, english)]
    assert marks[0] == marks[1]


@pytest.mark.parametrize("lang", ["pt", "en"])
@pytest.mark.parametrize("key", MESSAGES)
def test_every_message_can_be_said(key, lang):
    told = say(lang, key, **{name: Anything() for name, _ in places(MESSAGES[key][0])})
    assert told.count("*") == len(places(MESSAGES[key][0]))
    assert "{" not in told
    try:
        Text.from_markup(told)
    except MarkupError as error:
        pytest.fail(f"{key}: {error}")


def test_the_language_decides_and_another_falls_to_the_locales(monkeypatch):
    assert (say("pt", "data"), say("en", "data")) == ("Dados", "Data")
    monkeypatch.setenv("LC_ALL", "pt_BR.UTF-8")
    assert say("es", "data") == "Dados"
    monkeypatch.setenv("LC_ALL", "es_ES.UTF-8")
    assert say("es", "data") == "Data"


def test_whatever_the_source_says_is_in_the_table_with_just_those_places():
    said = [call for name in ("say", "head") for call in calls("cli", name)]
    found = 0
    for call in said:
        for key in (a.value for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str)):
            found += 1
            assert key in MESSAGES, ast.unparse(call)
            if all(word.arg for word in call.keywords):
                given = {word.arg for word in call.keywords} - {"indent"}
                assert given == {name for name, _ in places(MESSAGES[key][0])}, ast.unparse(call)
    assert found > 20, "the search finds what is said"


def test_no_sentence_is_there_that_nobody_says():
    spoken = set().union(*(texts(tree) for name, tree in trees("cli").items() if name != "messages.py"))
    assert not [key for key in MESSAGES if key not in spoken and not key.startswith(BY_FAMILY)]


def test_every_verdict_of_novelty_has_a_sentence():
    kinds = set().union(*(texts(call.args[0]) for call in calls("eval", "Verdict")))
    assert kinds == {"new", "exists", "almost"}
    assert {key.removeprefix("verdict_") for key in MESSAGES if key.startswith("verdict_")} == kinds
    assert say("pt", "verdict_almost", near="casa") == "quase uma cópia de casa"
    assert say("en", "verdict_almost", near="casa") == "almost a copy of casa"
    told = [say(lang, f"verdict_{kind}") for lang in ("pt", "en") for kind in ("new", "exists")]
    assert told == ["nova", "existe", "new", "exists"]


def reasons_in_source():
    """Every reason to drop a word: what a filter returns, and what stands beside a dropped text."""
    for node in (node for tree in trees("corpus").values() for node in ast.walk(tree)):
        match node:
            case ast.FunctionDef(returns=ast.expr() as kind) if ast.unparse(kind) == "str | None":
                for inner in ast.walk(node):
                    if isinstance(inner, ast.Return) and inner.value is not None:
                        answers = inner.value
                        both = [answers.body, answers.orelse] if isinstance(answers, ast.IfExp) else [answers]
                        yield from (a.value for a in both if isinstance(a, ast.Constant) and a.value is not None)
            case ast.Tuple(elts=[ast.Attribute(attr="text"), ast.Constant(value=reason)]):
                yield reason


def test_every_reason_to_drop_a_word_has_a_sentence_and_the_reverse():
    reasons = set(reasons_in_source())
    assert {"too short", "repeated", "beyond max_words"} <= reasons, "the search finds the reasons"
    assert {key.removeprefix(REASON) for key in MESSAGES if key.startswith(REASON)} == reasons


def test_every_stage_and_every_rung_of_the_exam_has_a_sentence():
    stages = {call.args[0].value for call in calls("pipeline", "StageDone")}
    assert {"corpus", "tokenizer", "dataset"} <= stages
    assert {key.removeprefix("stage_") for key in MESSAGES if key.startswith("stage_")} == stages | {"made", "current"}
    rungs = {"uniform", "unigram", "bigram", "trigram", "floor", "model"}
    assert {key.removeprefix("rung_") for key in MESSAGES if key.startswith("rung_")} == rungs


@pytest.mark.parametrize("code", LANGUAGE_NAMES)
def test_languages_have_a_name_in_both(code):
    assert language_name("pt", code) == LANGUAGE_NAMES[code][0]
    assert language_name("en", code) == LANGUAGE_NAMES[code][1]
    assert language_name("pt", code) != code


def test_a_language_without_a_name_is_told_by_its_code():
    assert language_name("pt", "tlh") == language_name("en", "tlh") == "tlh"


@pytest.mark.parametrize("value", [0, 7, 999, 1000, 235_493, 1_234_567_890, -1234])
def test_numbers_are_grouped_as_each_language_does(value):
    assert number("en", value) == f"{value:,}"
    assert number("pt", value) == f"{value:,}".replace(",", ".")
    assert int(number("pt", value).replace(".", "")) == value
