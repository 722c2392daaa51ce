"""What doctor_tables.py promises: every measured figure is shown, in both languages alike."""

import string

import pytest

from dozero.cli.doctor import examine, examine_extras
from dozero.cli.doctor_tables import WORDS, amount, show


@pytest.fixture(scope="module")
def facts():
    """What one real measurement found, for every test that shows it."""
    stages = []
    found = examine(stages.append, 0.4)
    assert set(stages) <= set(WORDS)
    return found


@pytest.mark.parametrize("language", ["pt", "en"])
def test_the_report_shows_every_measured_figure(facts, language, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    show(facts, language)
    printed = capsys.readouterr().out
    measured = [speed["gflops"] for speed in facts["peak"]["matmuls"]] + [facts["peak"]["copy_gb_s"]]
    planned = [
        budget[key] for budget in facts["training"]["budgets"] for key in ("reference_tokens", "parameters", "tokens")
    ]
    assert all(amount(value, language) in printed for value in measured + planned)
    assert facts["recommended"]["dtype_reason"][language] in printed
    assert ("Memória" in printed, "Memory" in printed) == (language == "pt", language == "en")


def test_a_busy_machine_is_told_apart(facts, capsys):
    show({**facts, "system": {**facts["system"], "load": 0.0}}, "en")
    assert "other programs" not in capsys.readouterr().out
    show({**facts, "system": {**facts["system"], "load": 64.0}}, "en")
    assert "other programs" in capsys.readouterr().out


def test_both_languages_fill_in_the_same_values():
    def fields(text):
        return {field for _, field, _, _ in string.Formatter().parse(text) if field}

    assert all(fields(pt) == fields(en) and pt and en for pt, en in WORDS.values())


def test_the_install_line_is_printed_as_it_must_be_typed(facts, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    extras = examine_extras(['no-such-package; extra == "test"', 'pytest; extra == "half"'])
    show({**facts, "extras": extras}, "en")
    printed = capsys.readouterr().out
    assert 'missing no-such-package: pip install "dozero[test]"' in printed
    assert "installed" in printed


def test_amounts_keep_three_digits_and_the_mark_of_the_language():
    assert [amount(v, "en") for v in (60, 999.4, 999.6, 12_345, 3.67e6, 8e9, 2e15)] == [
        *("60", "999", "1 k", "12.3 k", "3.67 M", "8 G", "2e+03 T"),
    ]
    assert amount(1234.5, "pt") == amount(1234.5, "en").replace(".", ",")
