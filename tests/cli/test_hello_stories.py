"""`dozero hello stories` from nothing to stories, tiny: every section, the floor, the grammar's marks."""

import json
import re

import pytest
from typer.testing import CliRunner

from dozero.cli import hello_stories
from dozero.cli.hello_stories import LEAST_STORIES, fewer_stories
from dozero.cli.main import app
from dozero.config import load_config
from dozero.corpus.store import open_corpus
from dozero.errors import ConfigError
from dozero.stories.tell import entropy

TINY = """extends = "stories"
[data]
lang = "{lang}"
stories = 300
[tokenizer]
vocab_size = 500
[model]
d_model = 16
n_layers = 1
n_heads = 2
n_kv_heads = 2
head_dim = 8
d_ff = 32
max_seq_len = 256
[train]
steps = 6
batch_tokens = 512
eval_every = 3
sample_every = 3
save_every = 6
max_seconds = 0
device = "cpu"
dtype = "float32"
threads = 1
[generate]
max_tokens = 12
"""


def hello(folder, lang, *arguments):
    folder.mkdir(exist_ok=True)
    if not (folder / "run.toml").exists():
        (folder / "run.toml").write_text(TINY.format(lang=lang))
    ran = CliRunner().invoke(app, ["hello", "stories", "--out", str(folder), "--lang", lang, *arguments])
    assert ran.exit_code == 0, (ran.output, ran.exception)
    return ran.stdout


@pytest.mark.parametrize(
    ("lang", "words"),
    [("pt", ("enredos", "piso", "a gramática corrige 100")), ("en", ("plots", "floor", "the grammar marks 100"))],
)
def test_all_six_sections_are_told_and_a_second_call_samples(tmp_path, lang, words):
    text = hello(tmp_path / "ws", lang)
    assert re.findall(r"^(\d)  ", text, re.MULTILINE) == list("123456")
    assert all(word in text for word in words), text
    again = hello(tmp_path / "ws", lang)
    assert "--fresh" in again
    assert not re.findall(r"^(\d)  ", again, re.MULTILINE)


def test_as_json_the_exam_tells_loss_and_floor(tmp_path):
    events = [json.loads(line) for line in hello(tmp_path / "ws", "en", "--json").splitlines()]
    exam = next(e for e in events if e["event"] == "Exam")
    tokens_per_story = entropy("en") / exam["floor_nats_per_token"]
    assert 50 < tokens_per_story < 500
    assert exam["nats_per_token"] > exam["floor_nats_per_token"]
    judged = next(e for e in events if e["event"] == "Judged")
    assert judged["stories"] == 100
    assert sum(e["event"] == "Story" for e in events) == 3


@pytest.mark.parametrize(
    ("arguments", "what"),
    [(("--lang", "de"), "no stories in this language"), (("--words", "x.txt"), "words are not stories")],
)
def test_what_stories_cannot_do_is_refused(tmp_path, monkeypatch, arguments, what):
    monkeypatch.chdir(tmp_path)
    ran = CliRunner().invoke(app, ["hello", "stories", *arguments])
    assert what in str(ran.exception)
    assert list(tmp_path.iterdir()) == []


def test_in_little_time_fewer_stories_are_told_and_the_settings_say_so(tmp_path, monkeypatch):
    monkeypatch.setattr(hello_stories, "LEAST_STORIES", 100)  # 5,000 take half a minute under test
    folder = tmp_path / "ws"
    ran = CliRunner().invoke(app, ["hello", "stories", "--out", str(folder), "--lang", "en", "--minutes", "0.02"])
    assert isinstance(ran.exception, ConfigError), "no time to train in"
    assert load_config(folder / "run.toml").data.stories == 600
    assert open_corpus(folder / "work" / "corpus").manifest.counts["kept"] == 600


@pytest.mark.parametrize("minutes", [0.1, 0.5, 1, 1.9, 2, 60])
def test_more_time_never_tells_fewer_stories_and_a_long_run_has_the_usual_number(minutes):
    told = fewer_stories(60_000, minutes) or 60_000
    assert LEAST_STORIES <= (fewer_stories(60_000, minutes / 2) or 60_000) <= told <= 60_000
    assert (told == 60_000) == (minutes >= 2)


def test_a_folder_of_words_is_no_place_for_stories(tmp_path):
    (tmp_path / "run.toml").write_text('extends = "words"\n[data]\nlang = "pt"\n')
    ran = CliRunner().invoke(app, ["hello", "stories", "--out", str(tmp_path)])
    assert "holds no stories" in str(ran.exception)
