"""How the report of a corpus looks in a terminal: tables, and bars drawn with blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dozero.cli.corpus_messages import decimal, size, tell
from dozero.cli.language import narration
from dozero.cli.messages import number
from dozero.corpus.plots import draw_plots
from dozero.corpus.reasons import reason_in
from dozero.corpus.report import read_report
from dozero.errors import MissingExtra

PLOTS = "plots"
BAR_WIDTH = 40
EIGHTHS = " ▏▎▍▌▋▊▉"
ROWS = 12
ID_DIGITS = 8  # enough to name a document
EXAMPLES, EXAMPLE_CHARACTERS = 2, 60
UNREADABLE_SHOWN = 5


def draw_pictures(corpus: Path, lang: str) -> MissingExtra | None:
    """Draw the report of a corpus as pictures in its folder `plots`; return why there are none, if there are none.

    They stand apart from the manifest: what a corpus is does not depend on who drew it.
    """
    report = read_report(corpus)
    assert report is not None, "a corpus of text has a report"
    try:
        draw_plots(report, corpus / PLOTS, narration(lang))
    except MissingExtra as error:
        return error
    return None


def show_report(console: Console, report: Mapping[str, Any], lang: str, seconds: float | None = None) -> None:
    """Print what was kept and dropped, why, and what it looks like."""
    kept, dropped = report["kept"], report["dropped"]
    facts = {
        "kept": kept["documents"],
        "kept_size": size(lang, kept["bytes"]),
        "dropped": dropped["documents"],
        "dropped_size": size(lang, dropped["bytes"]),
    }
    if seconds is None:
        console.print(tell(lang, "report", **facts))
    else:
        console.print(tell(lang, "curated", **facts, seconds=decimal(lang, seconds)))
    if report["reasons"]:
        console.print("", reasons_table(report, lang))
    bins = [
        (f"{number(lang, r['from'])}–{number(lang, r['to'])}", r["kept"], r["dropped"])
        for r in report["lengths"]["words"]
    ]
    console.print("", bars_table(lang, "lengths", bins))
    for table, by in (("languages", "language"), ("licences", "licence"), ("sources", "collection")):
        rows = [(r[by] or tell(lang, "unknown"), r["kept_documents"], r["dropped_documents"]) for r in report[table]]
        if len(rows) > 1 or table != "sources":
            console.print("", bars_table(lang, table, fold(rows, lang)))
    _show_personal(console, report, lang)
    _show_unreadable(console, report, lang)


def reasons_table(report: Mapping[str, Any], lang: str) -> Table:
    """Return a table of the reasons for dropping, each with its number of documents and under it a few of them."""
    total = report["kept"]["documents"] + report["dropped"]["documents"]
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    table.add_column(
        f"{tell(lang, 'reason')}  [dim]{tell(lang, 'example')}[/]", overflow="ellipsis", no_wrap=True, ratio=1
    )
    for key in ("documents", "share", "size"):
        table.add_column(tell(lang, key), justify="right", no_wrap=True)
    for row in report["reasons"]:
        table.add_row(
            "\n".join([escape(reason_in(narration(lang), row["reason"])), *map(_example, row["samples"][:EXAMPLES])]),
            number(lang, row["documents"]),
            f"{decimal(lang, 100 * row['documents'] / total)}%",
            size(lang, row["bytes"]),
        )
    return table


def _example(sample: Mapping[str, str]) -> str:
    return f"  [dim]{sample['id'][:ID_DIGITS]} {escape(' '.join(sample['text'].split())[:EXAMPLE_CHARACTERS])}[/]"


def bars_table(lang: str, title: str, rows: Sequence[tuple[str, int, int]]) -> Table:
    """Return named bars: documents kept in full blocks, dropped in light ones, and both numbers."""
    table = _table(lang, title)
    table.add_column("")
    table.add_column(tell(lang, "kept"), justify="right")
    table.add_column(tell(lang, "dropped"), justify="right")
    largest = max((kept + dropped for _, kept, dropped in rows), default=0)
    for name, kept, dropped in rows:
        table.add_row(escape(name), bar(kept, dropped, largest), number(lang, kept), number(lang, dropped))
    return table


def _table(lang: str, first: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(tell(lang, first))
    return table


def bar(kept: int, dropped: int, largest: int, width: int = BAR_WIDTH) -> str:
    """Return a bar as long as the numbers are beside the largest sum; what is there at all is never invisible.

    >>> bar(5, 3, 16, width=8)
    '██▌░'
    """
    if not largest:
        return ""
    eighths = kept * width * 8 // largest
    blocks = "█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()
    total = max(-(-(kept + dropped) * width // largest), 1 if kept + dropped else 0)
    if kept and not blocks:
        blocks = EIGHTHS[1]
    return blocks + "░" * max(total - len(blocks), 1 if dropped and not kept else 0)


def fold(rows: Sequence[tuple[str, int, int]], lang: str) -> list[tuple[str, int, int]]:
    """Return the first rows, and what comes after them as one."""
    rest = rows[ROWS:]
    if len(rest) < 2:
        return list(rows)
    others = (tell(lang, "others", count=len(rest)), sum(r[1] for r in rest), sum(r[2] for r in rest))
    return [*rows[:ROWS], others]


def _show_personal(console: Console, report: Mapping[str, Any], lang: str) -> None:
    if report["personal"]:
        table = _table(lang, "personal")
        table.add_column("")
        for row in report["personal"]:
            found = tell(lang, "personal_found", found=row["found"], documents=row["documents"])
            table.add_row(escape(row["kind"]), found)
        console.print("", table)


def _show_unreadable(console: Console, report: Mapping[str, Any], lang: str) -> None:
    count, listed = report["unreadable"], report["unreadable_listed"][:UNREADABLE_SHOWN]
    if count:
        console.print("\n" + tell(lang, "unreadable", count=count))
        for line in listed:
            console.print(f"  {escape(line['where'])}: {escape(line['what'])}")
        if count > len(listed):
            console.print("  " + tell(lang, "unreadable_more", count=count - len(listed)))
