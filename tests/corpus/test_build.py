"""The corpus stage: a folder of words kept and dropped, that tells what it was made from."""

import csv
import json
import time
from collections import Counter

import jaxtyping
import pytest
import wordfreq

from dozero.artifact import open_artifact
from dozero.corpus.build import WORD_SETTINGS, build_corpus, corpus_inputs, corpus_settings, known_words
from dozero.corpus.store import open_corpus
from dozero.corpus.words import USER_LICENCE, WORD_LICENCE
from dozero.durable import sha256_of
from dozero.errors import ArtifactError, DataError
from dozero.settings import CurateConfig, DataConfig

KEPT = ("coração", "mãe", "日本", "ёж", "rua")
DROPPED = {"co2": "not only letters", 'say "hi"\tnow': "not only letters", "x": "too short", "a,b": "not only letters"}


def build(data, out):
    assert list(build_corpus(data, CurateConfig(), out, corpus_inputs(data))) == []
    return open_corpus(out)


@pytest.fixture
def config(tmp_path):
    (tmp_path / "words.txt").write_text("\n".join([*KEPT, *DROPPED]), encoding="utf-8")
    return DataConfig(source=str(tmp_path / "words.txt"), lang="pt")


@pytest.fixture(scope="module")
def english(tmp_path_factory):
    """All of English from the catalog, its folder, and the seconds it took: without type checks, as a user has it."""
    path = tmp_path_factory.mktemp("english") / "corpus"
    jaxtyping.config.update("jaxtyping_disable", True)
    began = time.perf_counter()
    corpus = build(DataConfig(lang="en"), path)
    seconds = time.perf_counter() - began
    jaxtyping.config.update("jaxtyping_disable", False)
    return corpus, path, seconds


# --- from the catalog ---------------------------------------------------------------------------------------------------


def test_the_catalog_becomes_a_corpus_in_seconds(english):
    """A generous bound, since machines differ and are busy: it takes about two."""
    assert english[2] < 20


def test_kept_and_dropped_are_all_that_was_read(english):
    corpus, path, _ = english
    counts = corpus.manifest.counts
    read = list(wordfreq.iter_wordlist("en", "best"))
    assert counts["kept"] == len(list(corpus.texts()))
    assert counts["kept"] + counts["dropped"] == len(read)
    assert sum(counts["by_reason"].values()) == counts["dropped"]
    assert known_words(path) == frozenset(read)


def test_a_corpus_of_the_catalog_tells_licence_and_version(english):
    manifest = english[0].manifest
    assert manifest.about == {"source": "wordfreq en", "licence": WORD_LICENCE, "language": "en"}
    assert manifest.inputs == corpus_inputs(DataConfig(lang="en"))
    assert set(manifest.inputs) == {"wordfreq"}


# --- from a file --------------------------------------------------------------------------------------------------------


def test_what_is_built_is_what_is_opened(config, tmp_path):
    built = build(config, tmp_path / "corpus")
    opened = open_corpus(tmp_path / "corpus")
    assert list(opened.texts()) == list(built.texts()) == list(KEPT)
    assert opened.manifest == built.manifest


def test_every_dropped_word_is_kept_with_its_reason_and_known(config, tmp_path):
    build(config, tmp_path / "corpus")
    with (tmp_path / "corpus" / "dropped.tsv").open(encoding="utf-8", newline="") as file:
        assert dict(csv.reader(file, delimiter="\t")) == DROPPED
    assert known_words(tmp_path / "corpus") == {*KEPT, *DROPPED}


def test_the_report_counts_and_shows_samples(config, tmp_path):
    build(config, tmp_path / "corpus")
    report = json.loads((tmp_path / "corpus" / "report.json").read_text(encoding="utf-8"))
    assert (report["kept"], report["dropped"]) == (len(KEPT), len(DROPPED))
    assert report["by_reason"] == Counter(DROPPED.values())
    assert report["samples"] == {"not only letters": ["co2", 'say "hi"\tnow', "a,b"], "too short": ["x"]}
    assert report["licence"] == USER_LICENCE


def test_the_manifest_tells_the_hash_of_the_file_the_settings_and_the_licence(config, tmp_path):
    build(config, tmp_path / "corpus")
    manifest = open_artifact(tmp_path / "corpus", "corpus")
    assert manifest.inputs == {"words.txt": sha256_of(tmp_path / "words.txt")} == corpus_inputs(config)
    assert manifest.config == config.model_dump(include=set(WORD_SETTINGS)) == corpus_settings(config, CurateConfig())
    assert manifest.about == {"source": "words.txt", "licence": USER_LICENCE, "language": "pt"}
    assert set(manifest.files) == {"words.txt", "dropped.tsv", "report.json"}


def test_the_fingerprint_follows_from_file_and_settings(config, tmp_path):
    def fingerprint(changed, name):
        return build(changed, tmp_path / name).manifest.fingerprint

    first = fingerprint(config, "a")
    assert fingerprint(config, "b") == first
    assert fingerprint(config.model_copy(update={"heldout_percent": 50.0}), "c") == first  # decides nothing here
    assert fingerprint(config.model_copy(update={"min_letters": 3}), "d") != first
    (tmp_path / "words.txt").write_text("\n".join([*KEPT, *DROPPED, "9"]), encoding="utf-8")
    assert fingerprint(config, "e") != first


def test_a_line_as_long_as_a_book_is_dropped_and_known(config, tmp_path):
    book = "era uma vez " * 20_000
    (tmp_path / "words.txt").write_text("\n".join([*KEPT, book]), encoding="utf-8")
    build(config, tmp_path / "corpus")
    assert known_words(tmp_path / "corpus") == {*KEPT, book.strip()}


def test_an_altered_corpus_is_not_opened(config, tmp_path):
    build(config, tmp_path / "corpus")
    (tmp_path / "corpus" / "words.txt").write_text("outra\n", encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"words\.txt"):
        open_corpus(tmp_path / "corpus")


def test_a_source_that_is_no_file_is_refused_before_anything_is_written(tmp_path):
    for source in (tmp_path / "none.txt", tmp_path):
        config = DataConfig(source=str(source))
        with pytest.raises(DataError, match="no such word file"):
            corpus_inputs(config)
        with pytest.raises(DataError):
            build(config, tmp_path / "corpus")
    assert not (tmp_path / "corpus").exists()
