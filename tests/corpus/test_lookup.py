"""Any document, kept or dropped, found by the beginning of its id, as stored and as its source has it now."""

import pytest

from dozero.corpus.build import corpus_settings
from dozero.corpus.curate import curate
from dozero.corpus.lookup import CHANGED, NO_FILE, file_of, find_document, read_before
from dozero.corpus.store import open_corpus
from dozero.errors import ConfigError, DataError
from dozero.settings import CurateConfig, DataConfig

TEXTS = {
    "a.txt": "Escreva para ana@exemplo.com.br. " * 8,
    "b.txt": "Escreva para ana@exemplo.com.br. " * 8,
    "c.txt": "curto",
}


@pytest.fixture
def corpus(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for name, text in TEXTS.items():
        (folder / name).write_text(text)
    data, rules = DataConfig(kind="text", source=str(folder), licence="own"), CurateConfig(filters=("length",))
    list(curate(data, rules, tmp_path / "corpus", {}, corpus_settings(data, rules)))
    return open_corpus(tmp_path / "corpus")


def rows(corpus):
    return {row.document.source.rpartition("/")[2]: row for kept in (True, False) for row in corpus.stored(kept=kept)}


def test_a_beginning_is_enough_and_equal_texts_come_together(corpus):
    stored = rows(corpus)
    found = find_document(corpus, stored["a.txt"].id[:6].upper())
    assert [row.reason for row in found] == [None, "exact duplicate"]
    assert find_document(corpus, stored["c.txt"].id)[0].reason == "length: too short"


@pytest.mark.parametrize(
    ("prefix", "error"), [("0000000000000000", DataError), ("xyz", ConfigError), ("ab", ConfigError)]
)
def test_what_names_no_document_is_told(corpus, prefix, error):
    with pytest.raises(error):
        find_document(corpus, prefix)


def test_the_text_before_is_read_again_and_its_change_or_loss_is_told(corpus, tmp_path):
    row = rows(corpus)["a.txt"]
    assert "[EMAIL]" in row.document.text
    assert read_before(corpus, row).text == TEXTS["a.txt"]
    (tmp_path / "in" / "a.txt").write_text("outro texto")
    assert read_before(corpus, row).missing == CHANGED
    (tmp_path / "in" / "a.txt").unlink()
    assert read_before(corpus, row).missing == NO_FILE


def test_the_file_of_a_source_is_known_by_being_there(tmp_path):
    (tmp_path / "a#1.txt").write_text("x")
    assert file_of(f"{tmp_path}/a#1.txt#3") == f"{tmp_path}/a#1.txt"
    assert file_of("a.zip!b#2") == "a.zip"
