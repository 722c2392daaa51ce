"""Before and after: joined again, the changes are both texts."""

import itertools

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from dozero.cli.document_view import find_changes, render_changes, show_document

TEXTS = st.lists(st.sampled_from(["um", "dois", "[CPF]", "529", " ", "\n", "ç"]), max_size=20).map("".join)


@given(TEXTS, TEXTS)
def test_what_stays_and_goes_is_before_and_what_stays_and_comes_is_after(before, after):
    changes = find_changes(before, after)
    assert "".join(text for kind, text in changes if kind in "=-") == before or after.split() == before.split()
    assert "".join(text for kind, text in changes if kind in "=+") == after
    assert all(a[0] != b[0] for a, b in itertools.pairwise(changes))


def test_marks_stand_where_colour_does_not_show():
    changes = find_changes("CPF 529.982.247-25 aqui\n", "CPF [CPF] aqui\n")
    assert render_changes(changes, "pt", marks=True).plain == "CPF [-529.982.247-25-]{+[CPF]+} aqui\n"
    assert render_changes(changes, "pt", marks=False).plain == "CPF 529.982.247-25[CPF] aqui\n"


def test_long_stretches_without_change_are_cut_short():
    before = "".join(f"linha {n}\n" for n in range(100)) + "fim\n"
    shown = render_changes(find_changes(before, before.replace("fim", "FIM")), "en", marks=True).plain
    assert len(shown.splitlines()) < 10
    assert "linha 99" in shown


def test_facts_are_told_with_the_reason_in_the_language_of_the_reader():
    facts = {"id": "ab12", "reason": "exact duplicate", "source": "a.txt", "licence": "MIT", "language": "pt", "collection": "c",
             "personal": "", "before": "oi", "after": "oi", "before_missing": "", "changes": []}  # fmt: skip
    for lang, words in (("pt", "cópia exata"), ("en", "exact copy")):
        console = Console(record=True, width=100, file=open("/dev/null", "w"))  # noqa: SIM115 - thrown away
        show_document(console, facts, lang)
        text = console.export_text()
        assert words in text
        assert "a.txt" in text
        console.file.close()
