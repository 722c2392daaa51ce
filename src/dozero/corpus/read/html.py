"""HTML pages: their main text by trafilatura, or all of their text where that would lose paragraphs of it.

trafilatura was made for articles of the web and takes sidebars, notes and lists of manuals for decoration: of one manual
it lost half. So each page is read both ways, and what lost prose is not taken.
"""

from __future__ import annotations

import logging
import re
from typing import Any

from dozero.corpus.read.decode import decode_text, find_declared
from dozero.errors import DataError, MissingExtra

EXTRA = "files"
SILENT_TAGS = frozenset(("script", "style", "noscript", "template", "head", "svg", "iframe", "object"))
BLOCK_TAGS = frozenset(
    [
        "address",
        "article",
        "aside",
        "blockquote",
        "body",
        "br",
        "center",
        "dd",
        "details",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hr",
        "html",
        "legend",
        "li",
        "main",
        "nav",
        "ol",
        "p",
        "pre",
        "section",
        "summary",
        "table",
        "tbody",
        "tfoot",
        "thead",
        "title",
        "tr",
        "ul",
    ]
)
# What is around the text of a page: left out where the page says so.
AROUND_TAGS = frozenset(("nav", "footer", "menu", "dialog", "button", "select", "textarea", "input"))
AROUND_ROLES = frozenset(("navigation", "search", "contentinfo", "menu", "menubar", "toolbar", "dialog"))
PROSE_CHARS = 80  # a line this long is prose; menus and links are shorter
SAMPLE_CHARS = 40
LEAST_PROSE_KEPT = 0.95
CELL_TAGS = frozenset(("td", "th"))
# trafilatura takes seconds for each of these megabytes; the plain way takes a tenth of one.
LARGEST_EXTRACTED_CHARS = 1_000_000
XML_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
SPACES = re.compile(r"[ \t\r\f\v\xa0]+")
BLANK_LINES = re.compile(r"\n{3,}")


def html_text(page: bytes) -> str:
    """Return the text of a page under its title: the main text that trafilatura finds, or all if that lacks prose."""
    markup = decode_text(page, find_declared(page))
    tree = parse_html(markup)
    if tree is None:
        return ""
    title = SPACES.sub(" ", (tree.findtext(".//head/title") or "").replace("\n", " ")).strip()
    text, main = strip_tags(tree, around=False), _extract(markup) if len(markup) <= LARGEST_EXTRACTED_CHARS else ""
    if main and share_of_prose(main, text) >= LEAST_PROSE_KEPT:
        text = main
    return text if not title or not text or title in text[: 2 * len(title) + 200] else f"{title}\n\n{text}"


def page_text(page: bytes) -> str:
    """Return all the text of a page that has nothing beside its main text: a chapter of a book, an XML file."""
    tree = parse_html(decode_text(page, find_declared(page)))
    return "" if tree is None else strip_tags(tree)


def parse_html(markup: str) -> Any | None:
    """Return the tree of a page, or None when it holds no element; no entity is expanded and nothing is fetched."""
    try:
        from lxml import etree  # pyright: ignore[reportAttributeAccessIssue] - compiled, without stubs
    except ImportError:
        raise MissingExtra("lxml", extra=EXTRA) from None
    # The HTML parser of libxml2 knows no entity but those of HTML, so a definition of more is only text to it.
    parser = etree.HTMLParser(encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True)
    data = XML_DECLARATION.sub("", markup, count=1).encode()
    try:
        return etree.fromstring(data, parser) if data.strip() else None
    except etree.XMLSyntaxError:
        return None
    except etree.LxmlError as error:
        raise DataError(f"HTML that cannot be read ({str(error)[:80]})") from None


def share_of_prose(main: str, whole: str) -> float:
    r"""Return the share of the long lines of `whole` that begin somewhere in `main`, by characters; 1 without any.

    >>> share_of_prose("b" * 90, "a" * 90 + "\n" + "b" * 90 + "\nmenu")
    0.5
    """
    lines = ["".join(line.split()) for line in whole.split("\n") if len(line) >= PROSE_CHARS]
    found = "".join(main.split())
    total = sum(map(len, lines))
    return sum(len(line) for line in lines if line[:SAMPLE_CHARS] in found) / total if total else 1.0


def strip_tags(tree: Any, around: bool = True) -> str:
    """Return the text of a page, a line for each block; scripts, styles and unless `around` menus and footers left out."""
    from lxml import etree  # pyright: ignore[reportAttributeAccessIssue] - compiled, without stubs

    parts: list[str] = []
    silent = 0
    for event, element in etree.iterwalk(tree, events=("start", "end")):
        tag = element.tag
        if event == "start":
            silent += _is_silent(element, around)
            parts.append(_mark_of(tag))
            if not silent:
                parts.append(_flow(element.text, tag))
        else:
            silent -= _is_silent(element, around)
            parts.append(_mark_of(tag))
            if not silent:
                parts.append(_flow(element.tail, tag))
    lines = (SPACES.sub(" ", line).strip() for line in "".join(parts).split("\n"))
    return BLANK_LINES.sub("\n\n", "\n".join(lines)).strip()


def _is_silent(element: Any, around: bool) -> bool:
    tag = element.tag
    return tag in SILENT_TAGS or (not around and (tag in AROUND_TAGS or element.get("role") in AROUND_ROLES))


def _mark_of(tag: object) -> str:
    if tag in CELL_TAGS:
        return "\t"
    return "\n" if tag in BLOCK_TAGS else ""


def _flow(text: str | None, tag: object) -> str:
    """Return running text in one line, as a browser shows it, but that of a listing as it is."""
    if not text:
        return ""
    return text if tag == "pre" else text.replace("\n", " ")


def _extract(markup: str) -> str:
    """Return the main text that trafilatura finds; empty when it finds none."""
    try:
        import trafilatura
    except ImportError:
        raise MissingExtra("trafilatura", extra=EXTRA) from None
    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)  # its warnings name no file
    try:
        return trafilatura.extract(markup, include_comments=False, include_tables=True) or ""
    except Exception:  # noqa: BLE001 - hostile markup makes it raise anything; the plain way reads the page then
        return ""
