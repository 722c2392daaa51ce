"""The data card: both languages tell the same, every figure is the report's, the hub and the command line read it."""

import re
import shlex

import pytest
import yaml
from huggingface_hub import DatasetCard

from dozero.artifact import Manifest
from dozero.cli.curate import curate_config, split_settings
from dozero.corpus.card import CARD_FILES, curate_command, data_card, settings_of
from dozero.corpus.document import Document
from dozero.corpus.report import read_report, summarise, write_report
from dozero.corpus.store import Stored
from dozero.settings import CurateConfig, DataConfig, SourceConfig

DATA = DataConfig(kind="text", source="docs", licence="CC-BY-4.0")
HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)


def stored(n, reason=None, licence="CC-BY-4.0", lang="pt", personal=""):
    document = Document(f"Um texto de número {n}, com algumas palavras.", f"docs/{n}.txt", licence, lang, "a|b")
    return Stored(document.id, document, reason, personal)


def make_report(folder, data=DATA, curate=None, rows=(), unread=()):
    folder.mkdir(exist_ok=True)
    settings = data.model_dump(mode="json") | {"curate": (curate or CurateConfig()).model_dump(mode="json")}
    write_report(folder, Manifest("corpus", config=settings), summarise(rows), unread)
    return read_report(folder)


@pytest.fixture
def report(tmp_path):
    rows = [stored(n) for n in range(1200)]
    rows += [stored(n, "near duplicate") for n in range(5000, 5030)]
    rows += [stored(n, "gopher: too few words", lang="en") for n in range(6000, 6007)]
    rows += [stored(7000, licence=""), stored(7001, licence="GPL-2.0-or-later", personal="cpf 3")]
    return make_report(tmp_path, rows=rows, unread=[["docs/a.pdf", "no text in it"]])


def shape(card):
    """Levels of headings, kinds of lines and code of a card: what its languages have in common."""
    lines = card.split("---\n", 2)[2].splitlines()
    return [line if line.startswith(("| a", "dozero ")) else line[:2] for line in lines if line[:1] in "#*|`d"]


CURATIONS = [
    CurateConfig(),
    CurateConfig(languages=("pt",), evaluation="prova", personal_data="drop"),
    CurateConfig(filters=(), exact_duplicates=False, near_duplicates=False, personal_data="off"),
    CurateConfig(personal_data="report"),
]


@pytest.mark.parametrize("curate", CURATIONS)
def test_both_languages_have_the_same_sections_lists_and_tables(tmp_path, curate):
    report = make_report(tmp_path, curate=curate, rows=[stored(1), stored(2, "language", personal="email 1")])
    english, portuguese = data_card(report, "en"), data_card(report, "pt")
    levels = [[len(marks) for marks, _ in HEADING.findall(card)] for card in (english, portuguese)]
    assert levels[0] == levels[1] == [1] + [2] * 11
    assert len({title for _, title in HEADING.findall(english) + HEADING.findall(portuguese)}) == 24
    assert [line[:2] for line in shape(english)] == [line[:2] for line in shape(portuguese)]


def test_it_is_written_beside_the_report_in_both_languages(tmp_path, report):
    for lang, name in CARD_FILES.items():
        assert (tmp_path / name).read_text(encoding="utf-8") == data_card(report, lang)


def test_figures_are_those_of_the_report_as_each_language_writes_them(report):
    english, portuguese = data_card(report, "en"), data_card(report, "pt")
    assert "1,202 documents" in english
    assert "1.202 documentos" in portuguese
    for card in (english, portuguese):
        assert re.search(r"^\| cpf \| 3 \| 1 \|$", card, re.MULTILINE)
        assert "`docs/a.pdf`: no text in it" in card
    near = report["reasons"][0]
    assert (near["reason"], near["documents"]) == ("near duplicate", 30)
    assert "| almost a copy of another | 30 | 2.4% | 0.00 |" in english
    assert "| quase uma cópia de outro | 30 | 2,4% | 0,00 |" in portuguese
    assert r"| a\|b | 1,202 |" in english, "a line in a name does not break the table"


def test_the_rows_of_a_table_have_as_many_cells_as_its_head(report):
    for lang in CARD_FILES:
        tables = re.findall(r"(?:^\|.*\n)+", data_card(report, lang), re.MULTILINE)
        assert len(tables) == 6
        for table in tables:
            rows = [re.split(r"(?<!\\)\|", line.strip("|\n")) for line in table.splitlines()]
            assert len({len(row) for row in rows}) == 1


def test_the_hub_reads_its_front_matter(report):
    text = data_card(report, "en")
    _, matter, _ = text.split("---\n", 2)
    assert yaml.safe_load(matter) == {
        "license": ["cc-by-4.0", "gpl-2.0", "unknown"],
        "language": ["pt"],
        "size_categories": ["1K<n<10K"],
        "tags": ["dozero"],
        "configs": [{"config_name": "default", "data_files": "documents-*.parquet"}],
    }
    assert DatasetCard(text).data.size_categories == ["1K<n<10K"]


def test_what_each_licence_asks_is_told_and_that_of_none_too(report):
    for lang, nobody in (("en", "nobody told"), ("pt", "ninguém disse")):
        card = data_card(report, lang)
        assert re.findall(r"^\* \*\*(.+?)\*\*", card, re.MULTILINE) == [
            "CC-BY-4.0",
            *sorted([{"en": "unknown", "pt": "desconhecida"}[lang], "GPL-2.0-or-later"], key=lambda n: n[0] == "G"),
        ]
        assert nobody in card


def told(tmp_path, curate, lang="en"):
    return data_card(make_report(tmp_path, curate=curate, rows=[stored(1)]), lang)


def test_each_rule_is_named_with_its_paper_and_those_switched_off_are_not(tmp_path):
    everything = told(tmp_path, CurateConfig(languages=("pt", "gl"), evaluation="prova/*.txt"))
    for part in ("Rae et al. 2021", "Raffel et al. 2020", "Penedo et al. 2024", "Lee et al. 2022", "Brown et al. 2020"):
        assert part in everything
    assert "(pt, gl)" in everything
    assert "14 bands of 8" in everything
    assert "prova/*.txt" in everything
    nothing = told(tmp_path, CurateConfig(filters=(), exact_duplicates=False, near_duplicates=False))
    assert "et al. 20" not in nothing
    assert "Nobody looked for near duplicates" in nothing


def test_the_similarity_told_is_the_one_at_which_half_the_pairs_are_caught(tmp_path):
    text = told(tmp_path, CurateConfig(bands=20, rows=5))
    (percent,) = re.findall(r"similarity of (\d+)%", text)
    assert 1 - (1 - (int(percent) / 100) ** 5) ** 20 == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(
    ("treatment", "part"),
    [
        ("mask", "replaced by marks"),
        ("drop", "were dropped"),
        ("report", "still in the text"),
        ("off", "Nobody looked for personal"),
    ],
)
def test_what_became_of_personal_data_is_told(tmp_path, treatment, part):
    assert part in told(tmp_path, CurateConfig(personal_data=treatment))


COMMANDS = [
    (DATA, CurateConfig()),
    (DataConfig(kind="text", source="my docs/*.txt", allow_unlicensed=True), CurateConfig(languages=("pt", "en"))),
    (
        DataConfig(
            kind="text",
            sources=(SourceConfig(path="a", text_field="corpo"), SourceConfig(path="b", text_field="corpo")),
        ),
        CurateConfig(near_duplicates=False, bands=20, rows=5, evaluation="provas"),
    ),
    (
        DataConfig(
            kind="text",
            licence="own",
            sources=(SourceConfig(path='a "b"', name="x", licence="MIT", weight=0.5), SourceConfig(path="c")),
        ),
        CurateConfig(filters=("c4",), personal_data="off"),
    ),
]


@pytest.mark.parametrize(("data", "curate"), COMMANDS)
def test_the_command_of_the_card_gives_the_same_settings(tmp_path, data, curate):
    report = make_report(tmp_path, data, curate, [stored(1)])
    assert settings_of(report) == (data, curate)
    command = curate_command(data, curate)
    assert command in data_card(report, "pt")
    # What the verb makes of these words; options are tried from end to end in tests/cli/test_curate.py.
    settings, rest = split_settings(shlex.split(command)[2:])
    paths, options = [], {}
    while rest:
        word = rest.pop(0)
        if word == "--allow-unlicensed":
            options[word] = True
        elif word.startswith("-"):
            options[word] = rest.pop(0)
        else:
            paths.append(word)
    tree = {
        "data": {
            "kind": "text",
            "licence": options.get("--licence", ""),
            "allow_unlicensed": options.get("--allow-unlicensed", False),
            "sources": [{"path": path, "text_field": options.get("--text-field", "text")} for path in paths],
        },
        "curate": {},
    }
    config = curate_config(tree, settings)
    assert config.data.all_sources == data.all_sources
    assert config.data.allow_unlicensed == data.allow_unlicensed
    assert config.curate == curate
