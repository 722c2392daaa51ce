"""The section of evaluations: every figure with its interval, replaced as a whole, in the report's own language."""

import pytest

from dozero.eval.results import Result
from dozero.train.report_evaluations import (
    BEGIN,
    END,
    TEXT,
    evaluation_lines,
    replace_section,
    run_results,
    update_report,
)

MEASURES = [
    {"name": "bits_per_byte", "value": 1.25, "low": 1.2, "high": 1.3, "chance": 3.0, "verdict": "better"},
    {"name": "calibration_error", "value": 0.0123, "low": None, "high": None},
]
COPY = {"characters": 41, "source": "a.txt", "licence": "", "text": "palavra por palavra\n" * 2}
RESULTS = [
    Result("heldout", "text", "pt", "own", 1200, 1200, MEASURES),
    Result("pairs-pt", "pairs", "pt", "own", 40, 40, [{"name": "crase", "value": 0.5, "low": 0.4, "high": 0.6, "chance": 0.5, "verdict": "at_chance"}]),
    Result("samples", "samples", "", "", 5, 5, [], {"shortest": 30, "documents": 10, "copies": [COPY]}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("lang", "told"),
    [
        ("en", ("| heldout (1,200) | bits per byte (less is better) | 1.2500 | 1.2000 – 1.3000 | 3.0000 |",
                "|  | calibration error | 1.2% |  |  |", "50.0%, **at chance** |", "41 characters, from `a.txt` (licence unknown): palavra")),
        ("pt", ("| heldout (1.200) | bits por byte (menos é melhor) | 1,2500 | 1,2000 – 1,3000 | 3,0000 |",
                "|  | erro de calibração | 1,2% |  |  |", "50,0%, **no acaso** |", "41 caracteres, de `a.txt` (licença desconhecida): palavra")),
    ],
)  # fmt: skip
def test_figures_stand_with_interval_and_chance(lang, told):
    section = "\n".join(evaluation_lines(RESULTS, lang, "runs/main"))
    assert section.startswith(BEGIN)
    assert section.endswith(END)
    for line in told:
        assert line in section


def test_without_evaluations_the_command_is_named():
    assert "`dozero eval runs/main`" in "\n".join(evaluation_lines([], "en", "runs/main"))


def test_what_is_worse_than_chance_is_called_so():
    measure = {"name": "crase", "value": 0.1, "low": 0.05, "high": 0.2, "chance": 0.5, "verdict": "worse"}
    section = "\n".join(evaluation_lines([Result("p", "pairs", "pt", "", 9, 9, [measure])], "pt", "r"))
    assert "| crase | 10,0% | 5,0% – 20,0% | 50,0%, **pior que o acaso** |" in section


@pytest.mark.parametrize("key", TEXT)
def test_both_languages_say_it(key):
    assert all(TEXT[key])


def test_a_section_is_replaced_whole_and_only_where_there_is_one(tmp_path):
    page = f"# Relatório do treino main\n{BEGIN} old {END}\nafter\n"
    assert replace_section("no place", "new") is None
    assert not update_report(tmp_path, "en")
    (tmp_path / "report.md").write_text(page, encoding="utf-8")
    assert update_report(tmp_path, "en")
    new = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert " old " not in new
    assert "## Avaliações" in new  # the language of the page
    assert new.endswith(f"{END}\nafter\n")


def test_a_run_without_a_model_has_no_evaluations(tmp_path):
    assert run_results(tmp_path) == []
