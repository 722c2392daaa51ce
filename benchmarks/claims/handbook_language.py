"""How well English pages are found in a translation that is not finished: the Portuguese Debian handbook.

The two editions have the same files with the same paragraphs in the same order, so a paragraph left in English is one
that shares its words with its partner of the English edition. It need not be equal: titles that it refers to are
translated in the midst of it. Between is almost nothing: see `--spread`. A page is English when most of its paragraphs,
by characters, are.
These labels judge what the language filter says of each page as ours reads it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from html.parser import HTMLParser
from pathlib import Path

from claims.claim import Claim, at_least
from peers.debian_text import debian_root

from dozero.corpus.clean import clean_text
from dozero.corpus.document import Document
from dozero.corpus.parts import Parts
from dozero.corpus.read.listing import list_units
from dozero.corpus.read.reader import read_unit
from dozero.corpus.rules import make_filters
from dozero.settings import CurateConfig, SourceConfig

UNTRANSLATED = 0.5
TRANSLATION = "pt-BR"
ORIGINAL = "en-US"
SPACE = re.compile(r"\s+")
UNSEEN = ("script", "style", "head")
VOID = ("br", "hr", "img", "input", "link", "meta")
BLOCKS = ("p", "div", "li", "pre", "h1", "h2", "h3", "h4", "h5", "h6", "tr", "dt", "dd", "table", "ul", "ol")


@dataclass(frozen=True)
class Agreement:
    """Dropped pages against English ones."""

    english: int
    """Pages that are English."""
    dropped: int
    """Pages that the filter drops."""
    both: int
    """English pages that it drops."""

    @property
    def precision(self) -> float:
        """Share of the dropped pages that are English."""
        return self.both / self.dropped if self.dropped else 1.0

    @property
    def recall(self) -> float:
        """Share of the English pages that are dropped."""
        return self.both / self.english if self.english else 1.0


class _Stripper(HTMLParser):
    """Gathers the text of a page, and that of each <div class="para">."""

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self.paragraphs: list[str] = []
        self.open: list[tuple[str, bool]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open a tag; a block begins a line."""
        is_paragraph = tag == "div" and ("class", "para") in attrs
        if tag in BLOCKS:
            self.text.append("\n\n")
        if is_paragraph:
            self.paragraphs.append("")
        if tag not in VOID:
            self.open.append((tag, is_paragraph))

    def handle_endtag(self, tag: str) -> None:
        """Close a tag; a block ends its line."""
        while any(name == tag for name, _ in self.open) and self.open.pop()[0] != tag:
            pass
        if tag in BLOCKS:
            self.text.append("\n\n")

    def handle_data(self, data: str) -> None:
        """Keep what a reader sees."""
        if any(name in UNSEEN for name, _ in self.open):
            return
        in_screen = any(name == "pre" for name, _ in self.open)
        self.text.append(data if in_screen else SPACE.sub(" ", data))
        if any(is_paragraph for _, is_paragraph in self.open):
            self.paragraphs[-1] += data


def strip_tags(page: Path) -> tuple[str, list[str]]:
    """Return the text of an HTML page and its paragraphs, white space folded in each."""
    stripper = _Stripper()
    stripper.feed(page.read_text(encoding="utf-8"))
    stripper.close()
    blocks = (block.strip() for block in "".join(stripper.text).split("\n\n"))
    return "\n\n".join(filter(None, blocks)), [" ".join(paragraph.split()) for paragraph in stripper.paragraphs]


def likeness(ours: str, original: str) -> float:
    """Return the share of words that two paragraphs have in common, in the same order."""
    return SequenceMatcher(None, ours.split(), original.split(), autojunk=False).ratio()


def label_pages(handbook: Path) -> dict[str, float]:
    """Return for each Portuguese page the share of its characters in paragraphs that are still English."""
    shares: dict[str, float] = {}
    for page in sorted((handbook / TRANSLATION).glob("*.html")):
        _, ours = strip_tags(page)
        _, original = strip_tags(handbook / ORIGINAL / page.name)
        if len(ours) != len(original):
            raise ValueError(f"{page.name}: {len(ours)} paragraphs in Portuguese, {len(original)} in English")
        english = sum(len(a) for a, b in zip(ours, original, strict=True) if likeness(a, b) > UNTRANSLATED)
        total = sum(map(len, ours))
        if total:  # a page without paragraphs (a table of contents) has nothing to judge
            shares[page.name] = english / total
    return shares


def judge_drops(handbook: Path, dropped: Mapping[str, bool]) -> Agreement:
    """Compare {page: was it dropped for its language?} with the labels; pages not in it are not counted."""
    labels = {name: share > 0.5 for name, share in label_pages(handbook).items() if name in dropped}
    return Agreement(
        english=sum(labels.values()),
        dropped=sum(dropped[name] for name in labels),
        both=sum(is_english and dropped[name] for name, is_english in labels.items()),
    )


def handbook_language(quick: bool) -> Iterator[Claim]:  # noqa: ARG001 - a smoke run is as quick as the whole
    """Precision and recall of the language filter on the pages of the handbook, by what ours reads of each page."""
    handbook = debian_root() / "usr/share/doc/debian-handbook/html"
    agreement = judge_drops(handbook, drop_pages(handbook))
    yield at_least(f"language: precision, {agreement.dropped} pages dropped", agreement.precision, 0.95)
    yield at_least(f"language: recall, {agreement.english} pages are English", agreement.recall, 0.95)


def drop_pages(handbook: Path) -> dict[str, bool]:
    """Return for each Portuguese page whether the language filter drops it."""
    ((_, judge),) = make_filters(CurateConfig(languages=("pt",), filters=("language",)))
    dropped: dict[str, bool] = {}
    for page in sorted((handbook / TRANSLATION).glob("*.html")):
        [unit] = list_units(SourceConfig(path=str(page)))
        [document] = read_unit(unit)
        assert isinstance(document, Document), document
        text = clean_text(document.text)
        dropped[page.name] = judge(Document(text, page.name, ""), Parts(text)) is not None
    return dropped
