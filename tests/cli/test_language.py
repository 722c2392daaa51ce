"""Which language the command line speaks: the one asked for, else Portuguese for a Portuguese locale, else English."""

import pytest

from dozero.cli.language import NARRATED, narration, pick_language

LOCALE_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")


@pytest.fixture(autouse=True)
def _no_locale(monkeypatch):
    for name in LOCALE_VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("asked", "code"),
    [("pt", "pt"), ("pt-BR", "pt"), ("pt_BR", "pt"), ("PT", "pt"), ("en-GB", "en"), ("fil", "fil"), ("xx", "xx")],
)
def test_the_language_asked_for_wins_whatever_its_dress(monkeypatch, asked, code):
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    assert pick_language(asked) == code


@pytest.mark.parametrize(
    ("value", "code"),
    [("pt_BR.UTF-8", "pt"), ("pt_PT", "pt"), ("PT", "pt"), ("en_US.UTF-8", "en"), ("de_DE", "en"), ("C", "en"), ("C.UTF-8", "en")],
)  # fmt: skip
@pytest.mark.parametrize("name", LOCALE_VARIABLES)
def test_else_the_locale_decides(monkeypatch, name, value, code):
    monkeypatch.setenv(name, value)
    assert pick_language() == pick_language("") == pick_language(None) == code


def test_without_any_locale_it_is_english():
    assert pick_language() == "en"


def test_variables_are_read_in_the_order_of_the_c_library(monkeypatch):
    monkeypatch.setenv("LANG", "pt_BR.UTF-8")
    assert pick_language() == "pt"
    monkeypatch.setenv("LC_MESSAGES", "en_US.UTF-8")
    assert pick_language() == "en"
    monkeypatch.setenv("LC_ALL", "pt_BR.UTF-8")
    assert pick_language() == "pt"
    monkeypatch.setenv("LC_ALL", "")  # set to nothing is not set
    assert pick_language() == "en"


@pytest.mark.parametrize(("locale", "spoken"), [("pt_BR.UTF-8", "pt"), ("en_US.UTF-8", "en"), ("fr_FR.UTF-8", "en")])
def test_words_of_a_language_that_is_not_narrated_are_told_in_that_of_the_locale(monkeypatch, locale, spoken):
    monkeypatch.setenv("LANG", locale)
    assert narration("es") == spoken
    assert [narration(code) for code in NARRATED] == list(NARRATED)
