"""What kept.py promises: facts stay until newer ones come, and no cache ever fails a run."""

import pytest

from dozero.train.kept import keep, kept_file, read_kept


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DOZERO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_what_is_kept_is_read_and_newer_facts_win():
    assert read_kept("a.json") == {}
    keep("a.json", {"x": 1, "y": "old"})
    keep("a.json", {"y": "new"})
    keep("b.json", {"x": 2})
    assert read_kept("a.json") == {"x": 1, "y": "new"}
    assert read_kept("b.json") == {"x": 2}
    assert {file.name for file in kept_file("a.json").parent.iterdir()} == {"a.json", "b.json"}


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff"])
def test_a_damaged_file_is_no_file_and_is_mended(content, cache):
    cache.mkdir()
    kept_file("a.json").write_bytes(content)
    assert read_kept("a.json") == {}
    keep("a.json", {"x": 1})
    assert read_kept("a.json") == {"x": 1}


def test_a_cache_that_cannot_be_written_costs_nothing(cache):
    cache.write_text("a file where the folder should be")
    keep("a.json", {"x": 1})
    assert read_kept("a.json") == {}


def test_the_file_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.delenv("DOZERO_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert kept_file("a.json") == tmp_path / "dozero" / "a.json"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert kept_file("a.json") == tmp_path / "home" / ".cache" / "dozero" / "a.json"
