"""`dozero new`: a workspace, and the command that turns it into a model."""

import shlex

import pytest
from typer.testing import CliRunner

from dozero.cli.main import app
from dozero.config import load_config
from dozero.errors import ArtifactError, ConfigError


def new(*arguments):
    return CliRunner().invoke(app, ["new", *map(str, arguments)])


@pytest.mark.parametrize(("lang", "told"), [("pt-BR", "feito: "), ("en", "made: ")])
def test_it_makes_a_workspace_and_tells_what_to_run(tmp_path, lang, told):
    ran = new(tmp_path / "ws", "--lang", lang)
    assert ran.exit_code == 0, ran.output
    first, command = ran.stdout.splitlines()
    assert first.startswith(told)
    assert shlex.split(command) == ["dozero", "run", str(tmp_path / "ws/run.toml")]
    assert load_config(tmp_path / "ws/run.toml") == load_config(preset="words", overrides=[f"data.lang={lang[:2]}"])


@pytest.mark.parametrize(("locale", "lang"), [("pt_BR.UTF-8", "pt"), ("C", "en"), ("de_DE.UTF-8", "en")])
def test_the_locale_decides_where_no_language_is_given(tmp_path, monkeypatch, locale, lang):
    monkeypatch.setenv("LC_ALL", locale)
    assert new(tmp_path / "ws").exit_code == 0
    assert load_config(tmp_path / "ws/run.toml").data.lang == lang


@pytest.mark.parametrize(
    ("options", "told"),
    [(["--preset", "wrods"], "did you mean words"), (["--lang", "ptt"], "did you mean pt"), (["--lang", "xx"], "one of ar")],
)  # fmt: skip
def test_a_mistake_is_told_and_makes_nothing(tmp_path, options, told):
    ran = new(tmp_path / "ws", *options)
    assert isinstance(ran.exception, ConfigError)
    assert told in str(ran.exception)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "x").write_text("")
    ran = new(tmp_path)
    assert isinstance(ran.exception, ArtifactError)
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_a_folder_with_a_space_gives_a_command_that_can_be_pasted(tmp_path):
    command = new(tmp_path / "my ws").stdout.splitlines()[1]
    assert shlex.split(command) == ["dozero", "run", str(tmp_path / "my ws/run.toml")]
