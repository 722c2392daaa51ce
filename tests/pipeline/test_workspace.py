"""A new workspace: a run.toml that loads to the preset and what was asked for, and nothing where it cannot be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozero.config import list_presets, load_config, toml_value
from dozero.errors import ArtifactError, ConfigError
from dozero.pipeline.workspace import RUN_FILE, write_workspace


def listing(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*"))


@pytest.mark.parametrize("preset", list_presets())
def test_its_settings_are_the_presets_in_the_language_asked_for(tmp_path, preset):
    source, licence = ("docs", "own") if preset == "text" else (None, None)
    file = write_workspace(tmp_path / "a/b/ws", preset, "pt", source, licence)
    assert file == tmp_path / "a/b/ws" / RUN_FILE
    given = ["data.source=docs", "data.licence=own"] if source else []
    assert load_config(file) == load_config(preset=preset, overrides=["data.lang=pt", *given])
    assert listing(file.parent) == [RUN_FILE]


def test_it_holds_few_lines_for_people_to_change(tmp_path):
    text = write_workspace(tmp_path / "ws", "words", "en").read_text(encoding="utf-8")
    assert len(text.splitlines()) < 10
    assert text.startswith("#")


def test_as_many_stories_as_asked_for_are_told(tmp_path):
    assert load_config(write_workspace(tmp_path, "stories", "pt", stories=700)).data.stories == 700


def test_an_empty_folder_is_taken(tmp_path):
    assert load_config(write_workspace(tmp_path, "words", "de")).data.lang == "de"


@given(source=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))
def test_any_name_of_a_word_file_comes_back(source, tmp_path_factory):
    file = write_workspace(tmp_path_factory.mktemp("ws") / "ws", "words", "en", source)
    assert load_config(file).data.source == source


@pytest.mark.parametrize("lang", ['a"b', "x\ny", "tlh"])
def test_with_words_of_ones_own_any_language_may_be_named(tmp_path, lang):
    assert load_config(write_workspace(tmp_path / "ws", "words", lang, "words.txt")).data.lang == lang
    assert toml_value(lang) in (tmp_path / "ws" / RUN_FILE).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("preset", "lang", "told"),
    [
        ("wrods", "en", r"unknown preset, did you mean words\?"),
        ("words", "xx", r"no word list for this language"),
        ("words", "ptt", r"no word list for this language, did you mean pt\?"),
    ],
)
def test_a_mistake_leaves_nothing_behind(tmp_path, preset, lang, told):
    with pytest.raises(ConfigError, match=told):
        write_workspace(tmp_path / "ws", preset, lang)
    assert listing(tmp_path) == []


def test_a_folder_that_holds_anything_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    for place in (tmp_path, tmp_path / "thesis.txt"):
        with pytest.raises(ArtifactError, match="is not empty, so it is left alone"):
            write_workspace(place, "words", "en")
    assert listing(tmp_path) == ["thesis.txt"]


def test_a_workspace_that_is_there_is_not_overwritten(tmp_path):
    before = write_workspace(tmp_path / "ws", "words", "pt").read_bytes()
    with pytest.raises(ArtifactError, match="left alone"):
        write_workspace(tmp_path / "ws", "words", "en")
    assert (tmp_path / "ws" / RUN_FILE).read_bytes() == before


def test_a_file_in_the_way_of_the_folder_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match=r"file/ws.*cannot be written"):
        write_workspace(tmp_path / "file/ws", "words", "en")


def test_a_preset_of_text_needs_a_source_and_says_how(tmp_path):
    with pytest.raises(ConfigError, match="needs text to learn from") as refused:
        write_workspace(tmp_path / "ws", "text", "pt")
    assert "--source" in str(refused.value)
    assert not (tmp_path / "ws").exists()
