"""Curation as a whole: every document is kept or dropped with a reason, the same bytes come out after any kill and on
any number of processes, and only duplicates look beyond their own unit.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from dozero.artifact import open_artifact
from dozero.corpus.build import build_corpus, corpus_inputs, corpus_settings
from dozero.corpus.curate import curate
from dozero.corpus.events import UnitDone, Unread
from dozero.corpus.forgotten import Forgotten, read_forgotten, write_forgotten
from dozero.corpus.store import open_corpus
from dozero.errors import DataError
from dozero.settings import CurateConfig, DataConfig, SourceConfig

RULES = CurateConfig(filters=())
UNIT = 5_000  # several units out of a few small files
NOUNS = [
    "casa",
    "rua",
    "flor",
    "mar",
    "sol",
    "lua",
    "vento",
    "barco",
    "livro",
    "porta",
    "mesa",
    "chuva",
    "pedra",
    "campo",
    "ponte",
    "festa",
]


def sentence(rng):
    return f"Ontem a {rng.choice(NOUNS)} e o {rng.choice(NOUNS)} viram {rng.randint(2, 999)} {rng.choice(NOUNS)}s na {rng.choice(NOUNS)}."


def prose(seed, sentences=20):
    rng = random.Random(seed)
    return " ".join(sentence(rng) for _ in range(sentences))


def write_sources(folder, files=12):
    """Files of several kinds; some repeat or nearly repeat an earlier text, one has personal data, one no text."""
    folder.mkdir()
    for n in range(files):
        (folder / f"{n:02d}.txt").write_text(prose(n), encoding="utf-8")
    (folder / "20-again.txt").write_text(prose(3).upper(), encoding="utf-8")
    (folder / "21-almost.txt").write_text(prose(4, 80) + " Fim.", encoding="utf-8")
    (folder / "05-long.txt").write_text(prose(4, 80), encoding="utf-8")
    (folder / "22-mail.txt").write_text(prose(50) + " Escreva para ana.souza@exemplo.com.br hoje.", encoding="utf-8")
    (folder / "23-nothing.txt").write_bytes(b"")
    lines = [json.dumps({"text": prose(100 + n), "licence": "CC0-1.0"}) for n in range(30)]
    (folder / "records.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    return write_sources(tmp_path_factory.mktemp("sources") / "in")


def settings_of(sources, **changes):
    return DataConfig(kind="text", source=str(sources), licence="CC-BY-4.0", **changes)


def run(data, out, config=RULES, **options):
    inputs, settings = corpus_inputs(data), corpus_settings(data, config)
    return list(curate(data, config, out, inputs, settings, bytes_per_unit=UNIT, **options))


def content(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name != "manifest.json"}


@pytest.fixture(scope="module")
def curated(sources, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "corpus"
    return run(settings_of(sources), out), open_corpus(out)


def reasons(corpus):
    return {row.document.source.rpartition("/")[2]: row.reason for row in corpus.stored(kept=False)}


# --- what stays and what goes ------------------------------------------------------------------------------------


def test_every_document_is_kept_or_dropped_with_a_reason(curated):
    events, corpus = curated
    done = [event for event in events if isinstance(event, UnitDone)][-1]
    kept, dropped = list(corpus.stored(kept=True)), list(corpus.stored(kept=False))
    assert len(kept) + len(dropped) == done.documents == 12 + 4 + 30
    assert all(row.reason for row in dropped)
    assert not any(row.reason for row in kept)
    assert corpus.manifest.counts["kept"] == len(kept)
    assert corpus.manifest.counts["dropped"] == len(dropped)


def test_an_empty_file_is_told_and_the_others_are_read(curated):
    told = [event for event in curated[0] if isinstance(event, Unread)]
    assert [event.where.rpartition("/")[2] for event in told] == ["23-nothing.txt"]


def test_the_first_of_equal_documents_stays(curated):
    assert reasons(curated[1]) == {"20-again.txt": "exact duplicate", "21-almost.txt": "near duplicate"}
    names = [d.source.rpartition("/")[2] for d in curated[1].documents()]
    assert "03.txt" in names
    assert "05-long.txt" in names


def test_source_licence_and_language_travel_with_each_document(curated):
    documents = list(curated[1].documents())
    assert {d.licence for d in documents if ".jsonl" in d.source} == {"CC0-1.0"}
    assert {d.licence for d in documents if ".jsonl" not in d.source} == {"CC-BY-4.0"}
    assert {d.lang for d in documents} == {"pt"}
    assert len({d.source for d in documents}) == len(documents)


def test_personal_data_are_masked_and_counted(curated):
    row = next(row for row in curated[1].stored(kept=True) if row.document.source.endswith("22-mail.txt"))
    assert "ana.souza" not in row.document.text
    assert row.personal == "email 1"
    files = b"".join(content(curated[1].path).values())
    assert b"ana.souza" not in files


@pytest.mark.parametrize(
    ("setting", "dropped", "text_holds_it"), [("drop", 1, False), ("report", 0, True), ("off", 0, True)]
)
def test_personal_data_may_be_dropped_or_only_reported(sources, tmp_path, setting, dropped, text_holds_it):
    run(settings_of(sources), tmp_path / "corpus", RULES.model_copy(update={"personal_data": setting}))
    corpus = open_corpus(tmp_path / "corpus")
    assert sum(reason == "personal data" for reason in reasons(corpus).values()) == dropped
    assert any("ana.souza" in text for text in corpus.texts()) == text_holds_it
    assert not any("ana.souza" in row.document.text for row in corpus.stored(kept=False))


def test_a_document_without_licence_is_kept_out_unless_the_user_says_otherwise(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.txt").write_text(prose(1))
    with pytest.raises(DataError, match="no document is left") as refused:
        run(DataConfig(kind="text", source=str(folder)), tmp_path / "corpus")
    assert "--licence" in str(refused.value)
    assert not (tmp_path / "corpus").exists()
    run(DataConfig(kind="text", source=str(folder), allow_unlicensed=True), tmp_path / "corpus")
    assert [d.licence for d in open_corpus(tmp_path / "corpus").documents()] == [""]


def test_what_is_to_be_forgotten_leaves_only_its_id(sources, curated, tmp_path):
    row = next(row for row in curated[1].stored(kept=True) if row.document.source.endswith("07.txt"))
    run(settings_of(sources), tmp_path / "corpus")
    write_forgotten(tmp_path / "corpus", Forgotten(frozenset([row.id])))
    for _ in range(2):  # and it stays forgotten
        run(settings_of(sources), tmp_path / "corpus")
    corpus = open_corpus(tmp_path / "corpus")
    gone = next(row for row in corpus.stored(kept=False) if row.reason == "forgotten")
    assert (gone.id, gone.document.text, gone.document.source) == (row.id, "", "")
    assert read_forgotten(corpus.path).ids == {row.id}
    assert row.document.text not in set(corpus.texts())


def test_texts_of_the_evaluation_are_kept_out(sources, tmp_path):
    (tmp_path / "exam.txt").write_text(prose(2).split(". ")[4] + ". " + prose(2).split(". ")[5])
    run(settings_of(sources), tmp_path / "corpus", RULES.model_copy(update={"evaluation": str(tmp_path / "exam.txt")}))
    gone = [row for row in open_corpus(tmp_path / "corpus").stored(kept=False) if "duplicate" not in (row.reason or "")]
    assert [row.document.source.rpartition("/")[2] for row in gone] == ["02.txt"]


def test_documents_know_their_collection(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.txt").write_text(prose(ord(name)))
    several = (SourceConfig(path=str(tmp_path / "a"), name="first", licence="MIT"),
               SourceConfig(path=str(tmp_path / "b"), licence="own"))  # fmt: skip
    run(DataConfig(kind="text", sources=several), tmp_path / "corpus")
    documents = list(open_corpus(tmp_path / "corpus").documents())
    assert [(d.collection, d.licence) for d in documents] == [("first", "MIT"), (str(tmp_path / "b"), "own")]


# --- the same bytes ----------------------------------------------------------------------------------------------


def test_two_processes_give_the_bytes_of_one(sources, curated, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    run(settings_of(sources), one, processes=1)
    run(settings_of(sources), two, processes=2)
    assert content(one) == content(two)
    assert open_artifact(one, "corpus").fingerprint == open_artifact(two, "corpus").fingerprint


KILLED = """
import sys
from pathlib import Path
from dozero.corpus.build import corpus_inputs, corpus_settings
from dozero.corpus.curate import curate
from dozero.settings import CurateConfig, DataConfig
if __name__ == "__main__":
    data, rules = DataConfig(kind="text", source=sys.argv[1], licence="CC-BY-4.0"), CurateConfig(filters=())
    inputs, settings = corpus_inputs(data), corpus_settings(data, rules)
    list(curate(data, rules, Path(sys.argv[2]), inputs, settings, int(sys.argv[3]), bytes_per_unit=5_000))
"""


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_kill_at_any_moment_costs_nothing_but_time(sources, curated, tmp_path, processes):
    script, out = tmp_path / "run.py", tmp_path / "corpus"
    script.write_text(KILLED)
    rng = random.Random(5)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    for _ in range(4):
        process = subprocess.Popen(
            [sys.executable, script, sources, out, processes], stdout=subprocess.DEVNULL, env=environment
        )
        time.sleep(rng.uniform(0.2, 2.0))
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run(
        [sys.executable, script, sources, out, processes], check=True, stdout=subprocess.DEVNULL, env=environment
    )
    assert content(out) == content(curated[1].path)
    assert {p.name for p in tmp_path.iterdir()} == {"run.py", "corpus"}


def test_a_unit_done_before_a_kill_is_not_read_again(sources, curated, tmp_path, monkeypatch):
    import dozero.corpus.curate as module

    data, out = settings_of(sources), tmp_path / "corpus"
    events = curate(data, RULES, out, corpus_inputs(data), corpus_settings(data, RULES), bytes_per_unit=UNIT)
    while not isinstance(next(events), UnitDone):
        pass
    events.close()  # as far as the first unit
    read = []
    real = module.read_unit
    monkeypatch.setattr(module, "read_unit", lambda unit: read.append(unit) or real(unit))
    run(data, out)
    assert len(read) == len(module.list_units(data.all_sources[0], UNIT)) - 1
    assert content(out) == content(curated[1].path)


def test_other_settings_begin_anew(sources, tmp_path):
    data, out = settings_of(sources), tmp_path / "corpus"
    events = curate(data, RULES, out, corpus_inputs(data), corpus_settings(data, RULES), bytes_per_unit=UNIT)
    next(events)
    events.close()
    plain = RULES.model_copy(update={"near_duplicates": False})
    run(data, out, plain)
    assert reasons(open_corpus(out)) == {"20-again.txt": "exact duplicate"}


def test_the_stage_tells_its_progress_but_returns_no_corpus(sources, tmp_path):
    data = settings_of(sources)
    events = list(build_corpus(data, RULES, tmp_path / "corpus", corpus_inputs(data)))
    assert {type(event) for event in events} == {UnitDone, Unread}
