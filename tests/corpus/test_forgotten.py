"""The list of what is forgotten survives, and never holds a text."""

import json

import pytest

from dozero.corpus.document import Document
from dozero.corpus.forgotten import FORGOTTEN, Forgotten, read_forgotten, write_forgotten
from dozero.errors import ArtifactError


def test_it_comes_back_as_it_was_written(tmp_path):
    forgotten = Forgotten().plus(["a1", "b2"], "Ana .*", ["fp"]).plus(["a1"], None, [])
    write_forgotten(tmp_path, forgotten)
    assert read_forgotten(tmp_path) == forgotten == Forgotten(frozenset(["a1", "b2"]), ("Ana .*",), frozenset(["fp"]))
    assert json.loads((tmp_path / FORGOTTEN).read_text())["ids"] == ["a1", "b2"]


def test_nothing_forgotten_is_no_file(tmp_path):
    write_forgotten(tmp_path, Forgotten())
    assert list(tmp_path.iterdir()) == []
    assert read_forgotten(tmp_path) == read_forgotten(tmp_path / "nowhere") == Forgotten()


def test_documents_are_covered_by_id_or_pattern():
    document = Document("Ana Souza mora aqui", "cartas/7.txt", "own")
    assert Forgotten(frozenset([document.id])).covers(document)
    assert Forgotten(patterns=("Souza",)).covers(document)
    assert Forgotten(patterns=("^cartas/",)).covers(document)
    assert not Forgotten(frozenset(["0"]), ("Silva",)).covers(document)


def test_a_damaged_list_stops_everything_rather_than_bring_texts_back(tmp_path):
    (tmp_path / FORGOTTEN).write_text("{")
    with pytest.raises(ArtifactError, match="cannot be read"):
        read_forgotten(tmp_path)
