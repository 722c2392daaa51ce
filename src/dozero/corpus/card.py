"""The data card of a corpus, in Portuguese and English: every figure comes from the report.

The questions are those of Gebru et al. 2021, "Datasheets for Datasets" (https://arxiv.org/abs/1803.09010); the front
matter is that of dataset cards on the Hugging Face hub.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dozero import __version__
from dozero.config import toml_value
from dozero.corpus.card_text import FILTERS, TEXT
from dozero.corpus.hub import front_matter
from dozero.corpus.licence import licence_facts
from dozero.corpus.reasons import reason_in
from dozero.settings import CurateConfig, DataConfig, SourceConfig

CARD_FILES = {"en": "datacard.md", "pt": "datacard.pt-BR.md"}


def data_card(report: Mapping[str, Any], lang: str) -> str:
    """Return the data card of a report as Markdown, in Portuguese ("pt") or English."""
    page = Page(lang)
    data, curate = settings_of(report)
    page.add("# ", "title", names=", ".join(s["collection"] for s in report["sources"] if s["kept_documents"]))
    _what_it_is(page, report)
    _sources(page, report)
    _obligations(page, report)
    _filters(page, curate)
    _dropped(page, report)
    _personal(page, report, curate)
    _languages_and_lengths(page, report)
    page.add("## ", "splits_title")
    page.add("", "splits")
    _limits(page, report, curate)
    page.add("## ", "again_title")
    page.add("", "again", version=__version__)
    page.lines += ["```bash", curate_command(data, curate), "```", ""]
    page.add("## ", "erase_title")
    page.add("", "erase")
    page.lines += ["```bash", "dozero curate --forget ID -o corpus", "```"]
    return front_matter(report) + "\n" + "\n".join(page.lines) + "\n"


class Page:
    """The lines of a card in one language."""

    def __init__(self, lang: str) -> None:
        self.lang = lang
        self.lines: list[str] = []

    def text(self, key: str, **values: object) -> str:
        """Return a text of the card, its numbers written as the language does."""
        shown = {name: self.number(v) if isinstance(v, int) else v for name, v in values.items()}
        return TEXT[key][0 if self.lang == "pt" else 1].format(**shown)

    def add(self, prefix: str, key: str, **values: object) -> None:
        """Add a paragraph, heading (prefix "## ") or item ("* ")."""
        self.lines += [prefix + self.text(key, **values), *([] if prefix == "* " else [""])]

    def table(self, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Add a table: the first column is text, the others are numbers."""
        self.lines.append("| " + " | ".join(self.text(head) for head in heads) + " |")
        self.lines.append("|---|" + "---:|" * (len(heads) - 1))
        for row in rows:
            cells = (self.number(c) if isinstance(c, int) else str(c).replace("|", "\\|") for c in row)
            self.lines.append("| " + " | ".join(cells) + " |")
        self.lines.append("")

    def number(self, value: int) -> str:
        """Return a whole number with the language's thousands separator."""
        return f"{value:,}".replace(",", ".") if self.lang == "pt" else f"{value:,}"

    def megabytes(self, value: int) -> str:
        """Return bytes as megabytes."""
        return self._decimal(f"{value / 1e6:,.2f}")

    def percent(self, share: float) -> str:
        """Return a share as a percentage."""
        return self._decimal(f"{share:.1%}")

    def _decimal(self, text: str) -> str:
        return text.translate(str.maketrans(",.", ".,")) if self.lang == "pt" else text


def settings_of(report: Mapping[str, Any]) -> tuple[DataConfig, CurateConfig]:
    """Return the settings that a report tells it was made with."""
    settings = dict(report["settings"])
    curate = CurateConfig.model_validate(settings.pop("curate"))
    return DataConfig.model_validate(settings), curate


# --- sections ----------------------------------------------------------------------------------------------------


def _what_it_is(page: Page, report: Mapping[str, Any]) -> None:
    kept, dropped = report["kept"], report["dropped"]
    page.add(
        "", "what", kept=kept["documents"], words=kept["words"], megabytes=page.megabytes(kept["bytes"]),
        read=kept["documents"] + dropped["documents"],
    )  # fmt: skip
    page.add("", "what_files")


def _sources(page: Page, report: Mapping[str, Any]) -> None:
    page.add("## ", "sources_title")
    heads = ("kept_documents", "kept_megabytes", "dropped_documents")
    for table, by in (("sources", "collection"), ("licences", "licence")):
        rows = report[table]
        page.table(
            (by, *heads),
            [
                (
                    r[by] or page.text("unknown"),
                    r["kept_documents"],
                    page.megabytes(r["kept_bytes"]),
                    r["dropped_documents"],
                )
                for r in rows
            ],
        )
    if report["unreadable"]:
        page.add("", "unreadable", count=report["unreadable"])
        page.lines += [f"* `{line['where']}`: {line['what']}" for line in report["unreadable_listed"][:20]] + [""]


def _obligations(page: Page, report: Mapping[str, Any]) -> None:
    page.add("## ", "licence_title")
    for row in report["licences"]:
        if row["kept_documents"]:
            name = row["licence"] or page.text("unknown")
            page.lines.append(f"* **{name}**: {obligations(row['licence'], page)}")
    page.lines.append("")
    page.add("", "licence_travels")


def obligations(licence: str, page: Page) -> str:
    """Return what a licence asks of whoever uses or passes on the documents, in the card's language."""
    facts = licence_facts(licence)
    if facts is None:
        return page.text("licence_unread" if licence else "licence_none")
    return facts.told(page.lang)


def _filters(page: Page, curate: CurateConfig) -> None:
    page.add("## ", "filters_title")
    page.add("", "filters_order")
    page.add("* ", "filter_licence")
    for name in curate.filters:
        pt, en, paper = FILTERS.get(name, ("", "", ""))
        what = pt if page.lang == "pt" else en
        languages = f" ({', '.join(curate.languages)})" if name == "language" and curate.languages else ""
        page.lines.append(f"* `{name}`: {what}{languages}{f' ({paper})' if paper else ''}")
    if curate.evaluation:
        page.add("* ", "filter_evaluation", path=curate.evaluation)
    if curate.exact_duplicates:
        page.add("* ", "filter_exact")
    if curate.near_duplicates:
        half = (1 - 0.5 ** (1 / curate.bands)) ** (1 / curate.rows)
        page.add(
            "* ", "filter_near", words=curate.shingle_words, bands=curate.bands, rows=curate.rows, half=f"{half:.0%}"
        )
    page.lines.append("")


def _dropped(page: Page, report: Mapping[str, Any]) -> None:
    page.add("## ", "dropped_title")
    total = report["kept"]["documents"] + report["dropped"]["documents"]
    if not report["reasons"]:
        page.add("", "dropped_none")
        return
    page.table(
        ("reason", "documents", "share", "megabytes"),
        [
            (
                reason_in(page.lang, r["reason"]),
                r["documents"],
                page.percent(r["documents"] / total),
                page.megabytes(r["bytes"]),
            )
            for r in report["reasons"]
        ],
    )
    page.add("", "dropped_where")


def _personal(page: Page, report: Mapping[str, Any], curate: CurateConfig) -> None:
    page.add("## ", "personal_title")
    page.add("", f"personal_{curate.personal_data}")
    if report["personal"]:
        rows = [(row["kind"], row["found"], row["documents"]) for row in report["personal"]]
        page.table(("kind", "found", "documents"), rows)


def _languages_and_lengths(page: Page, report: Mapping[str, Any]) -> None:
    page.add("## ", "languages_title")
    rows = [
        (r["language"] or page.text("unknown"), r["kept_documents"], r["dropped_documents"])
        for r in report["languages"]
    ]
    page.table(("language", "kept_documents", "dropped_documents"), rows)
    page.add("## ", "lengths_title")
    bins = [row for row in report["lengths"]["words"] if row["kept"] or row["dropped"]]
    rows = [(f"{page.number(r['from'])}–{page.number(r['to'])}", r["kept"], r["dropped"]) for r in bins]
    page.table(("words", "kept_documents", "dropped_documents"), rows)


def _limits(page: Page, report: Mapping[str, Any], curate: CurateConfig) -> None:
    page.add("## ", "limits_title")
    unknown = sum(r["kept_documents"] for r in report["licences"] if not r["licence"])
    if unknown:
        page.add("* ", "limit_unlicensed", count=unknown)
    if not curate.languages:
        page.add("* ", "limit_languages")
    if not curate.near_duplicates:
        page.add("* ", "limit_duplicates")
    if not curate.evaluation:
        page.add("* ", "limit_evaluation")
    page.add("* ", "limit_personal" if curate.personal_data in ("mask", "drop") else "limit_personal_left")
    page.add("* ", "limit_rules")
    page.lines.append("")


def curate_command(data: DataConfig, curate: CurateConfig) -> str:
    """Return the command that makes this corpus again from the same files."""
    words = ["dozero", "curate"]
    sources = data.sources or (SourceConfig(path=data.source),)
    field = sources[0].text_field
    if all(source == SourceConfig(path=source.path, text_field=field) for source in sources):
        words += [source.path for source in sources]
        words += [] if field == SourceConfig(path="").text_field else ["--text-field", field]
    else:
        words.append(f"data.sources=[{', '.join(map(_inline_table, sources))}]")
    words += ["--licence", data.licence] if data.licence else []
    words += ["--allow-unlicensed"] if data.allow_unlicensed else []
    for name, value in curate:
        if value != getattr(CurateConfig(), name):
            words.append(f"curate.{name}={toml_value(value)}")
    return shlex.join([*words, "-o", "corpus"])


def _inline_table(source: SourceConfig) -> str:
    told = ((k, v) for k, v in source if k == "path" or v != SourceConfig.model_fields[k].default)
    return "{" + ", ".join(f"{key} = {toml_value(value)}" for key, value in told) + "}"
