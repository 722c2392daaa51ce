"""`dozero hello`: from words to new words with every stage in sight, in two languages; again it samples."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dozero.cli.hello_words import SAMPLES as WORDS_SHOWN
from dozero.cli.main import app
from dozero.cli.messages import MESSAGES, say
from dozero.compiler import compile_ahead
from dozero.config import load_config
from dozero.corpus.build import known_words
from dozero.errors import ConfigError, DataError
from dozero.testing import WORDS, tiny_workspace

SOURCE = Path(__file__).resolve().parent.parent.parent / "src"
SECTIONS = ("data", "tokens", "model", "training", "exam", "words")
VERDICTS = {"pt": r"nova|existe|quase uma cópia de \w+", "en": r"new|exists|almost a copy of \w+"}
# Some that the filters drop, for each of several reasons.
MIXED = (*WORDS, "a", "ba2", "uma-duas", WORDS[0], "x" * 30, "coração")


def hello(*arguments):
    return CliRunner().invoke(app, ["hello", *map(str, arguments)])


def told(*arguments):
    """What a call that must work says, progress and results together in each its order."""
    ran = hello(*arguments)
    assert ran.exit_code == 0, ran.output
    return ran.stdout


def words_of(text, lang):
    """The words a call shows with their verdicts, checked to be numbered from one."""
    found = re.findall(rf"^ +(\d+)\. (.*?) +({VERDICTS[lang]})$", text, re.MULTILINE)
    assert [int(number) for number, _, _ in found] == list(range(1, WORDS_SHOWN + 1))
    return [(word.strip(), verdict) for _, word, verdict in found]


def sections_of(text):
    return re.findall(r"^(\d)  (.+)$", text, re.MULTILINE)


@pytest.fixture(scope="module", params=["pt", "en"])
def first(request, tmp_path_factory):
    """The first call in a tiny workspace, in one language: (language, its folder, what it said)."""
    folder = tmp_path_factory.mktemp(request.param) / "my [ws]"
    tiny_workspace(folder, f"data.lang={request.param}", "generate.temperature=1.1", words=MIXED)
    return request.param, folder, told("--out", folder, "--lang", request.param)


@pytest.fixture
def lang(first):
    return first[0]


@pytest.fixture
def ws(first, tmp_path):
    """A copy of the workspace after the first call, to go on in."""
    return shutil.copytree(first[1], tmp_path / "ws")


# --- the first call ----------------------------------------------------------------------------------------------


def test_all_six_sections_appear_in_order(first):
    lang, _, text = first
    assert sections_of(text) == [(str(i), say(lang, key)) for i, key in enumerate(SECTIONS, 1)]


def test_ten_words_each_have_a_true_verdict(first):
    lang, folder, text = first
    known = known_words(folder / "work/corpus")
    for word, verdict in words_of(text, lang):
        assert (verdict == say(lang, "verdict_exists")) == (word in known)


def test_the_title_names_the_words_and_the_machine_what_computes(first):
    text = first[2]
    assert text.startswith("dozero ")
    assert "CPU · 1 threads · float32" in text.splitlines()[1]


def test_the_data_tell_what_stays_what_goes_and_why(first):
    lang, folder, text = first
    kept = len(set(WORDS)) + 1
    assert say(lang, "data_kept", kept=kept, total=len(MIXED), source="words.txt", licence="").split("(")[0] in text
    reasons = json.loads((folder / "work/corpus/report.json").read_text(encoding="utf-8"))["by_reason"]
    assert set(reasons) == {"too short", "not only letters", "repeated", "too long"}
    shown = [f"{count} {say(lang, f'reason:{reason}')}" for reason, count in reasons.items()]
    assert sum(reason in text for reason in shown) == 3
    other = "en" if lang == "pt" else "pt"
    assert not [r for r in reasons if say(other, f"reason:{r}") in text]


def test_tokens_show_the_alphabet_and_three_words_as_ids(first):
    text = first[2]
    assert "abcdeilmnorsuãç" in text
    ids = re.findall(r"^   (\w{6,}) +((?:\d+ ?)+)$", text, re.MULTILINE)
    assert len(ids) == 3
    assert all(len(word) == len(numbers.split()) for word, numbers in ids)


def test_the_exam_compares_with_guesses_that_only_count(first):
    lang, _, text = first
    rungs = {}
    for name in ("uniform", "unigram", "bigram", "trigram", "model"):
        line = re.search(rf"^   {say(lang, f'rung_{name}')} +(\d\.\d+) (█+)$", text, re.MULTILINE)
        rungs[name] = float(line[1])
    assert rungs["uniform"] > rungs["unigram"] > rungs["bigram"]


def test_nothing_is_said_in_the_other_language(first):
    lang, _, text = first
    other = "en" if lang == "pt" else "pt"
    for key in ("data", "training", "words", "next_why", "next_deeper", "training_what", "exam_what"):
        ours, theirs = (MESSAGES[key][0 if code == "pt" else 1].partition("{")[0] or None for code in (lang, other))
        assert ours is None or ours in text
        assert theirs is None or theirs not in text


def commands_of(text):
    return [shlex.split(line) for line in text.splitlines() if line.startswith("  dozero ")]


def test_the_commands_for_what_comes_next_work(first, ws, monkeypatch):
    lang, folder, text = first
    why, deeper, other = commands_of(text)
    assert why == ["dozero", "generate", str(folder), "--why"]
    assert deeper[:3] == ["dozero", "train", str(folder / "run.toml")]
    assert other == ["dozero", "hello", "--lang", "en" if lang == "pt" else "pt"]
    for command in (why, deeper):
        in_copy = [word.replace(str(folder), str(ws)) for word in command[1:]]
        ran = CliRunner().invoke(app, in_copy)
        assert ran.exit_code == 0, ran.output
    assert load_config(ws / "runs/deeper/run.toml").model.n_layers == load_config(ws / "run.toml").model.n_layers + 2


# --- again -------------------------------------------------------------------------------------------------------


def state(ws):
    """The files of the run that training writes, with when they were written."""
    run = ws / "runs/main"
    files = [
        run / "metrics.jsonl",
        run / "samples.jsonl",
        run / "run.toml",
        *run.glob("model/*"),
        *run.glob("checkpoints/*/*"),
    ]
    return {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in files}


def test_a_second_call_samples_and_trains_nothing(first, ws, lang):
    before = state(ws)
    first_words = words_of(first[2], lang)
    second, third = (told("--out", ws, "--lang", lang) for _ in range(2))
    assert state(ws) == before
    assert sections_of(second) == []
    assert "--fresh" in second
    lists = [[word for word, _ in words_of(text, lang)] for text in (second, third)]
    assert len({tuple(one) for one in (*lists, tuple(word for word, _ in first_words))}) == 3


def test_a_damaged_count_of_words_made_is_no_obstacle(ws, lang):
    words = words_of(told("--out", ws, "--lang", lang), lang)
    (ws / "runs/main/sampled").write_bytes(b"\xff")
    assert words_of(told("--out", ws, "--lang", lang), lang) == words


def test_fresh_trains_anew_and_the_same_seed_gives_the_same_words(first, ws, lang):
    before = state(ws)
    again = told("--out", ws, "--lang", lang, "--fresh")
    assert len(sections_of(again)) == 6
    assert words_of(again, lang) == words_of(first[2], lang)
    after = state(ws)
    metrics = ws / "runs/main/metrics.jsonl"
    assert after[metrics][0] == before[metrics][0]
    assert after[metrics][1] != before[metrics][1]


def test_another_seed_gives_other_words(first, ws, lang):
    lists = [words_of(told("--out", ws, "--lang", lang, "--fresh", "--seed", seed), lang) for seed in (5, 6, 5)]
    assert lists[0] == lists[2]
    assert lists[0] != lists[1]
    assert words_of(first[2], lang) not in lists


# --- JSON --------------------------------------------------------------------------------------------------------


def as_json(*arguments):
    ran = hello(*arguments, "--json")
    assert ran.exit_code == 0, ran.output
    assert ran.stderr == ""
    return [json.loads(line) for line in ran.stdout.splitlines()]


def test_as_json_there_are_events_the_exam_and_ten_words(tmp_path):
    folder = tiny_workspace(tmp_path / "ws").parent
    lines = as_json("--out", folder, "--lang", "pt")
    names = [line["event"] for line in lines]
    assert names[:4] == ["StageDone"] * 3 + ["Started"]
    assert names[-13:] == ["Finished", "Reported", "Exam", *["Word"] * 10]
    assert set(names) == {
        "StageDone",
        "Started",
        "Stepped",
        "Observed",
        "Evaluated",
        "Sampled",
        "Saved",
        "Finished",
        "Reported",
        "Exam",
        "Word",
    }
    (exam,) = (line for line in lines if line["event"] == "Exam")
    (finished,) = (line for line in lines if line["event"] == "Finished")
    assert exam["bits_per_character"]["model"] == finished["heldout"]["bits_per_character"]
    assert {line["kind"] for line in lines[-10:]} <= {"new", "exists", "almost"}
    again = as_json("--out", folder)
    assert [line["event"] for line in again] == ["Word"] * 10
    assert again != lines[-10:]


# --- where it works ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "name"),
    [(["--words", "meus nomes.txt"], "meus nomes"), (["--lang", "pt-BR"], "pt"), ([], "en"), (["words"], "en")],
)
def test_its_folder_is_named_after_the_words(tmp_path, monkeypatch, arguments, name):
    monkeypatch.chdir(tmp_path)
    Path("meus nomes.txt").write_text("\n".join(WORDS))
    file = tiny_workspace(Path(f"dozero-words-{name}"), "train.steps=1")
    if arguments[:1] == ["--words"]:  # a folder with other words would be refused
        file.write_text(re.sub("(?m)^source = .*", f'source = "{Path("meus nomes.txt").resolve()}"', file.read_text()))
    assert len(words_of(told(*arguments), "pt" if name == "pt" else "en")) == 10
    assert (tmp_path / f"dozero-words-{name}/runs/main/model").is_dir()


def test_a_file_of_ones_own_is_noted_by_its_whole_path(tmp_path):
    (tmp_path / "names.txt").write_text("\n".join(WORDS))
    command = [sys.executable, "-m", "dozero", "hello", "--words", "names.txt", "--json"]
    environment = os.environ | {"PYTHONPATH": str(SOURCE), "LC_ALL": "pt_BR.UTF-8"}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, encoding="utf-8") as process:
        corpus = json.loads(process.stdout.readline())
        process.kill()  # what follows is a minute of training
    assert corpus["manifest"]["counts"]["kept"] == len(WORDS)
    config = load_config(tmp_path / "dozero-words-names/run.toml")
    assert (config.data.source, config.data.lang) == (str(tmp_path / "names.txt"), "pt")
    assert config.train == load_config(preset="words").train


def test_the_minutes_given_are_kept_and_the_plan_is_told(tmp_path):
    told("--out", tiny_workspace(tmp_path / "warm", "train.steps=1").parent)
    compile_ahead().join()  # this and imports count as time, but once
    folder = tiny_workspace(tmp_path / "ws").parent
    text = told("--out", folder, "--lang", "pt", "--minutes", 0.25)
    assert len(words_of(text, "pt")) == 10
    assert re.search(r"plano: [\d.]+ passos .*; uns \d+ s$", text, re.MULTILINE)
    seconds = int(re.search(r"\((\d+) s ao todo\)", text)[1])
    assert seconds <= 21, "15 seconds, and something for a machine that does other things too"


# --- what it refuses ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "kind", "match"),
    [
        (["plays"], ConfigError, "hello cannot learn this; expected words or stories; got 'plays'"),
        (["--lang", "xx"], ConfigError, "no word list for this language; expected one of ar .*got 'xx'"),
        (["--lang", "ptt"], ConfigError, "did you mean pt"),
        (["--minutes", "0"], ConfigError, "--minutes: must be more than 0; got 0"),
        (["--minutes", "nan"], ConfigError, "--minutes: must be more than 0; got nan"),
        (["--words", "nowhere.txt"], DataError, "nowhere.txt: no such word file"),
        (["--words", "empty.txt"], DataError, "empty.txt: holds no words"),
        (["--words", "latin.txt"], DataError, "latin.txt, line 2: not UTF-8"),
    ],
)
def test_a_mistake_is_told_and_makes_nothing(tmp_path, monkeypatch, arguments, kind, match):
    monkeypatch.chdir(tmp_path)
    Path("empty.txt").write_text("\n  \n")
    Path("latin.txt").write_bytes("casa\nmaçã\n".encode("latin-1"))
    ran = hello(*arguments)
    assert isinstance(ran.exception, kind)
    assert re.search(match, str(ran.exception))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty.txt", "latin.txt"]


# --- what would be ignored is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [("--words", "other.txt"), ("--words", "other.txt", "--fresh")])
def test_a_folder_with_other_words_is_refused_and_left_as_it_is(tmp_path, arguments):
    folder = tiny_workspace(tmp_path / "ws", "train.steps=1").parent
    told("--out", folder)
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    (tmp_path / "other.txt").write_text("casa\nrua\n")
    ran = hello("--out", folder, *(tmp_path / a if a == "other.txt" else a for a in arguments))
    assert isinstance(ran.exception, ConfigError)
    assert "holds other words" in str(ran.exception)
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("option", [("--minutes", 1), ("--seed", 5)])
def test_what_a_trained_folder_cannot_do_without_fresh_is_refused(tmp_path, option):
    folder = tiny_workspace(tmp_path / "ws", "train.steps=1").parent
    told("--out", folder)
    ran = hello("--out", folder, *option)
    assert isinstance(ran.exception, ConfigError)
    assert "already trained" in str(ran.exception)
    assert "--fresh" in str(ran.exception)


def test_fresh_deletes_nothing_before_all_is_in_order(tmp_path):
    file = tiny_workspace(tmp_path / "ws", "train.steps=1")
    told("--out", file.parent)
    model = file.parent / "runs/main/model/model.safetensors"
    weights = model.read_bytes()
    (file.parent / "words.txt").unlink()
    assert hello("--out", file.parent, "--fresh").exit_code != 0
    assert model.read_bytes() == weights
