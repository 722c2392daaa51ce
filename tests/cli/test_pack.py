"""`dozero pack`: a corpus and a tokenizer in, shards out, told in both languages."""

import json

import pytest
from typer.testing import CliRunner

from dozero.cli.main import app
from dozero.dataset.shards import open_dataset
from dozero.testing import tiny_corpus


@pytest.fixture
def folders(tmp_path, monkeypatch):
    tiny_corpus(tmp_path / "corpus")
    ran = CliRunner().invoke(
        app, ["tokenizer", str(tmp_path / "corpus"), "-o", str(tmp_path / "tokenizer"), "--kind", "char"]
    )
    assert ran.exit_code == 0, (ran.output, ran.exception)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pack(*arguments):
    return CliRunner().invoke(app, ["pack", "corpus", "tokenizer", "-o", "dataset", *arguments])


@pytest.mark.parametrize(("locale", "made", "current"), [("pt_BR", "feito", "em dia"), ("C", "made", "up to date")])
def test_it_makes_shards_once_and_tells_what_they_hold(folders, monkeypatch, locale, made, current):
    monkeypatch.setenv("LC_ALL", locale)
    first, second = pack(), pack()
    assert (first.exit_code, second.exit_code) == (0, 0), (first.output, first.exception)
    assert made in first.output
    assert current in second.output
    dataset = open_dataset(folders / "dataset")
    assert dataset.train.documents + dataset.heldout.documents == 108


def test_as_json_it_is_one_object(folders):
    facts = json.loads(pack("--json").stdout)
    assert facts["made"] is True
    assert facts["vocab_size"] == 13
    assert 0 < facts["fill"] <= 1


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("--heldout-percent", "0"), "more than 0"),
        (("--weight", "x=2"), "no such collection"),
        (("--weight", "x"), "not a weight"),
    ],
)
def test_a_mistake_is_told(folders, arguments, what):
    assert what in str(pack(*arguments).exception)
    assert not (folders / "dataset").exists()
