"""The report in a terminal: bars in proportion, tables that hold what the report holds."""

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from dozero.cli.corpus_view import bar, fold, show_report
from dozero.corpus.document import Document
from dozero.corpus.report import summarise
from dozero.corpus.store import Stored


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, 10**7), st.integers(1, 80))
def test_a_bar_is_as_long_as_its_number_and_never_longer_than_the_width(kept, dropped, more, width):
    largest = kept + dropped + more
    drawn = bar(kept, dropped, largest, width)
    assert len(drawn) <= width + 1
    assert bool(drawn) == bool(kept or dropped)
    assert abs(len(drawn) - (kept + dropped) * width / largest) <= 2


def test_what_comes_after_a_dozen_is_one_row():
    rows = [(str(n), n, 1) for n in range(20)]
    folded = fold(rows, "en")
    assert folded[:12] == rows[:12]
    assert folded[12][1:] == (sum(range(12, 20)), 8)
    assert fold(rows[:13], "en") == rows[:13]


def report():
    rows = [
        Stored(f"{n:016x}", Document("um dois três " * (n + 1), "a.txt", "MIT", "pt", "docs"), None, "email 2")
        for n in range(5)
    ]
    rows += [Stored("f" * 16, Document("x", "b.txt", "", "en", "docs"), "length: too short")]
    return {
        **summarise(rows).to_json(),
        "unreadable": 1,
        "unreadable_listed": [{"where": "c.txt", "what": "empty file"}],
    }


def test_the_report_is_told_in_both_languages():
    for lang, words in (
        ("pt", ["ficam", "menos de 100 caracteres", "c.txt"]),
        ("en", ["kept", "fewer than 100 characters", "c.txt"]),
    ):
        with open("/dev/null", "w") as nowhere:
            console = Console(record=True, width=120, file=nowhere)
            show_report(console, report(), lang, 1.5)
            text = console.export_text()
        assert all(word in text for word in words), text
        assert "█" in text
