"""`dozero tokenizer`: learn, show, compare."""

import json

import pytest
from typer.testing import CliRunner

from dozero.artifact import Manifest
from dozero.cli.main import app
from dozero.corpus.stories import write_stories
from dozero.settings import DataConfig
from dozero.tokenizer.files import open_tokenizer


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpora")
    for lang in ("pt", "en"):
        write_stories(DataConfig(kind="stories", lang=lang, stories=300), folder / lang, Manifest("corpus"))
    return folder


def run(*arguments):
    ran = CliRunner().invoke(app, ["tokenizer", *map(str, arguments)])
    assert ran.exit_code == 0, (ran.output, ran.exception)
    return ran.stdout


def test_it_learns_shows_and_the_pieces_are_the_text(corpora, tmp_path):
    assert "600" in run(corpora / "pt", "-o", tmp_path / "tok", "--vocab-size", "600")
    tokenizer, _ = open_tokenizer(tmp_path / "tok")
    assert tokenizer.vocab_size == 600
    text = "A menina viu o coração. <|endoftext|>"
    lines = run(tmp_path / "tok", "--show", text).splitlines()
    ids = [int(i) for i in lines[1].split()]
    assert tokenizer.decode(ids) == text
    assert 0 not in ids
    assert len(lines[0].split("|")) >= len(ids)
    shown = json.loads(run(tmp_path / "tok", "--show", text, "--json"))
    assert [token["id"] for token in shown["tokens"]] == ids


def test_vocabularies_are_compared_and_portuguese_pays_a_price_under_english(corpora):
    rows = [
        json.loads(line)
        for line in run(corpora / "pt", "--compare", f"400,1200,{corpora / 'en'}", "--json").splitlines()
    ]
    rates = [row["bytes_per_token"] for row in rows]
    assert rates[1] > rates[0]
    assert rows[2]["vocab_size"] == rows[1]["vocab_size"]
    assert rates[2] < rates[1]
    assert rows[2]["fertility"] > rows[1]["fertility"]
    table = run(corpora / "pt", "--compare", "400,1200")
    assert "400" in table
    assert "1200" in table


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ((), "nothing to do"),
        (("--compare", ","), "names no vocabulary"),
        (("-o", "x", "--vocab-size", "12"), "not a size"),
        (("--show", "oi"), "holds no tokenizer"),
    ],
)
def test_a_mistake_is_told(corpora, tmp_path, monkeypatch, arguments, what):
    monkeypatch.chdir(tmp_path)
    ran = CliRunner().invoke(app, ["tokenizer", str(corpora / "pt"), *arguments])
    assert what in str(ran.exception)
    assert list(tmp_path.iterdir()) == []
