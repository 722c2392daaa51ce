"""Erasure as a user asks for it: nothing without a yes, everything told, and gone for good."""

import json
import os

import pytest
from typer.testing import CliRunner

from dozero.cli.forget import plain
from dozero.cli.main import app
from dozero.corpus.store import open_corpus
from dozero.testing import TINY

STORY = (
    "Era uma vez {name}, que morava perto do mar e gostava de contar histórias de número {n} para quem passava. " * 3
)


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    docs = tmp_path / "docs"
    docs.mkdir()
    for n in range(40):
        name = "Zulmira" if n == 7 else "Ana"
        (docs / f"{n:02d}.txt").write_text(
            " ".join(f"{STORY.format(name=name, n=n)} {n * k}" for k in range(2)), encoding="utf-8"
        )
    tiny = [line for line in TINY if not line.startswith("data.")]
    sections = {}
    for line in tiny:
        key, _, value = line.partition("=")
        section, _, name = key.partition(".")
        sections.setdefault(section, []).append(f"{name} = {value if value[0].isdigit() else json.dumps(value)}")
    text = '[data]\nkind = "text"\nsource = "docs"\nlicence = "own"\nheldout_percent = 30\n[curate]\nfilters = []\nnear_duplicates = false\n'
    text += "".join(f"[{section}]\n" + "\n".join(lines) + "\n" for section, lines in sections.items())
    folder = tmp_path / "ws"
    folder.mkdir()
    (folder / "run.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    ran = run("run", "ws/run.toml")
    assert ran.exit_code == 0, (ran.output, ran.exception)
    return folder


def texts(workspace):
    return list(open_corpus(workspace / "work" / "corpus").texts())


def everything(folder):
    return b"".join(p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file())


def test_without_a_yes_nothing_changes_and_what_would_is_told(workspace):
    before = everything(workspace)
    ran = run("curate", "--forget", "Zulmira", workspace)
    assert ran.exit_code != 0
    assert "nothing is forgotten yet (documents that match: 1)" in str(ran.exception)
    assert "runs/main" in ran.output.replace("\n", "")
    assert everything(workspace) == before


def test_a_document_goes_with_all_that_can_be_made_anew_and_stays_away(workspace, monkeypatch):
    monkeypatch.setenv("LC_ALL", "C")
    ran = run("curate", "--forget", "Zulmira", workspace, "--yes")
    assert ran.exit_code == 0, (ran.output, ran.exception)
    told = " ".join(ran.output.split())
    assert "weights already trained keep traces" in told
    assert "dozero train" in told
    assert "--fresh" in told
    assert len(texts(workspace)) == 39
    assert not any("Zulmira" in text for text in texts(workspace))
    assert b"Zulmira" not in everything(workspace / "work" / "corpus")
    (workspace.parent / "docs" / "new.txt").write_text(
        STORY.format(name="Rui", n=99), encoding="utf-8"
    )  # so all is read again
    assert run("run", "ws/run.toml", "--to", "dataset").exit_code == 0
    assert len(texts(workspace)) == 40
    assert not any("Zulmira" in text for text in texts(workspace))


def test_an_id_or_its_beginning_names_one_document(workspace):
    corpus = open_corpus(workspace / "work" / "corpus")
    row = next(iter(corpus.stored(kept=True)))
    ran = run("curate", "--forget", row.id[:8], "-o", workspace / "work" / "corpus", "--yes", "--json")
    assert ran.exit_code == 0, (ran.output, ran.exception)
    events = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [e["event"] for e in events[:2]] == ["Matched", "Erased"]
    assert row.id not in {r.id for r in open_corpus(workspace / "work" / "corpus").stored(kept=True)}


@pytest.mark.parametrize(
    ("wanted", "what"),
    [
        ("ffffffffffffffff", "holds nothing that matches"),
        ("(", "not a regular expression"),
        ("Ninguém assim", "holds nothing"),
    ],
)
def test_what_matches_nothing_or_cannot_be_meant_is_refused(workspace, wanted, what):
    before = everything(workspace)
    ran = run("curate", "--forget", wanted, workspace, "--yes")
    assert what in str(ran.exception)
    assert everything(workspace) == before


def test_events_become_plain_data(tmp_path):
    assert plain({"a": (tmp_path, frozenset("ba"))}) == {"a": [os.fspath(tmp_path), ["a", "b"]]}
