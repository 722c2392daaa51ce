"""What --forget means, and that the corpus without a document is the corpus that never had it."""

import hashlib

import pytest

from dozero.corpus.build import corpus_settings
from dozero.corpus.curate import curate
from dozero.corpus.store import open_corpus
from dozero.errors import ArtifactError, ConfigError, DataError
from dozero.pipeline.forget import Erased, Matched, find_corpus, forget, parse_wanted
from dozero.settings import CurateConfig, DataConfig
from dozero.testing import tiny_corpus

RULES = CurateConfig(filters=())


def make(folder, names):
    folder.mkdir()
    for n, name in enumerate(names):
        (folder / f"{n}.txt").write_text(f"{name} morava longe e tinha {n * 31} livros. " * 5, encoding="utf-8")
    data = DataConfig(kind="text", source=str(folder), licence="own")
    list(curate(data, RULES, folder.parent / "corpus", {}, corpus_settings(data, RULES)))
    return folder.parent / "corpus"


@pytest.fixture
def corpus(tmp_path):
    return make(tmp_path / "in", ["Ana", "Bia", "Caio", "Ana Bia"])


def test_digits_are_an_id_and_all_else_a_pattern():
    text = "Ana morava"
    assert parse_wanted("ABCDEF01").digest == "abcdef01"
    assert parse_wanted(hashlib.sha256(text.encode()).hexdigest()).digest
    assert parse_wanted("abc").pattern.pattern == "abc"
    assert parse_wanted("re:abcdef01").pattern.pattern == "abcdef01"
    for wrong in ("(", "re:"):
        with pytest.raises(ConfigError):
            parse_wanted(wrong)


def test_leaving_after_the_first_event_changes_nothing(corpus):
    before = {p.name: p.read_bytes() for p in corpus.iterdir()}
    events = forget(corpus, parse_wanted("^Ana"))
    matched = next(events)
    assert isinstance(matched, Matched)
    assert (matched.kept, matched.dropped) == (2, 0)
    events.close()
    assert {p.name: p.read_bytes() for p in corpus.iterdir()} == before


def test_what_is_forgotten_is_gone_from_documents_report_and_card(corpus):
    *_, erased = forget(corpus, parse_wanted("Bia"))
    assert isinstance(erased, Erased)
    assert (erased.documents, erased.kept) == (2, 2)
    assert [t.split()[0] for t in open_corpus(corpus).texts()] == ["Ana", "Caio"]
    assert b"Bia" not in b"".join(p.read_bytes() for p in corpus.iterdir())
    assert open_corpus(corpus).manifest.counts["kept"] == 2


def test_a_full_hash_names_the_very_text(corpus):
    text = next(iter(open_corpus(corpus).texts()))
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert next(forget(corpus, parse_wanted(digest))).kept == 1
    assert next(forget(corpus, parse_wanted(digest[:-1] + ("0" if digest[-1] != "0" else "1")))).kept == 0


def test_only_a_curated_corpus_can_forget(tmp_path):
    tiny_corpus(tmp_path / "words")
    with pytest.raises(DataError, match="not a curated corpus"):
        next(forget(tmp_path / "words", parse_wanted("ba")))
    with pytest.raises(ArtifactError, match="holds no corpus"):
        find_corpus(tmp_path)
