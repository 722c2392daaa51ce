"""docx, odt and epub: zip archives of XML, read without unpacking to disk and without ever expanding an entity.

The XML goes through expat in small pieces; nothing is held but the text. A document type, which no such file needs and
which every XML bomb does, ends the reading.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote
from xml.parsers import expat

from dozero.corpus.read.limits import Limits
from dozero.corpus.read.streams import PACKED_CHUNK, Stream
from dozero.errors import DataError


@dataclass(frozen=True)
class Markup:
    """How one kind of XML writes text. Tags are without their namespace."""

    part: str
    """Member of the archive that has the text."""
    blocks: frozenset[str]
    """Tags after which a line ends."""
    marks: dict[str, str]
    """Tags that stand for a sign."""
    text: frozenset[str]
    """Tags whose characters are text."""
    silent: frozenset[str]
    """Tags in which nothing counts: deleted text, notes of reviewers, a second rendering of the same."""


OFFICE = {
    "docx": Markup(
        part="word/document.xml",
        blocks=frozenset(("p",)),
        marks={"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"},
        text=frozenset(("t",)),
        silent=frozenset(("del", "moveFrom", "Fallback", "pPr", "rPr", "tblPr", "sectPr")),
    ),
    "odt": Markup(
        part="content.xml",
        blocks=frozenset(("p", "h")),
        marks={"tab": "\t", "line-break": "\n", "s": " "},
        text=frozenset(("p", "h")),
        silent=frozenset(("tracked-changes", "annotation", "note-citation", "automatic-styles", "font-face-decls")),
    ),
}


def office_text(stream: Stream, kind: str, limits: Limits) -> str:
    """Return the text of the main XML part of a docx or odt."""
    markup = OFFICE[kind]
    parts: list[str] = []
    inside = silent = size = 0

    def start(name: str, _attributes: dict[str, str]) -> None:
        nonlocal inside, silent
        tag = local_name(name)
        silent += tag in markup.silent
        inside += tag in markup.text
        if tag in markup.marks and not silent:
            parts.append(markup.marks[tag])

    def end(name: str) -> None:
        nonlocal inside, silent
        tag = local_name(name)
        silent -= tag in markup.silent
        inside -= tag in markup.text
        if tag in markup.blocks and not silent:
            parts.append("\n")

    def characters(data: str) -> None:
        nonlocal size
        if inside and not silent:
            parts.append(data)
            size += len(data)
            if size > limits.largest_document_chars:
                raise DataError(f"longer than {limits.largest_document_chars:,} characters")

    _parse(stream, start, end, characters)
    text = "".join(parts).strip()
    if not text:
        raise DataError("no text in it")
    return text


def iter_tags(stream: Stream) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each tag of an XML file with its attributes, in order."""
    found: list[tuple[str, dict[str, str]]] = []
    _parse(stream, lambda name, attributes: found.append((local_name(name), attributes)), None, None)
    yield from found


def find_chapters(open_member: Callable[[str], Stream]) -> list[str]:
    """Return the chapters of an epub in reading order, as its package file (META-INF/container.xml names it) tells."""
    roots = [a.get("full-path", "") for tag, a in iter_tags(open_member("META-INF/container.xml")) if tag == "rootfile"]
    if not roots:
        raise DataError("an epub that names no package file")
    files: dict[str, str] = {}
    chapters: list[str] = []
    for tag, attributes in iter_tags(open_member(roots[0])):
        if tag == "item":
            target = posixpath.join(posixpath.dirname(roots[0]), unquote(attributes.get("href", "")))
            files[attributes.get("id", "")] = posixpath.normpath(target)
        elif tag == "itemref" and attributes.get("idref") in files:
            chapters.append(files[attributes["idref"]])
    return list(dict.fromkeys(chapters))


def local_name(name: str) -> str:
    """Return a tag without its namespace.

    >>> local_name("http://schemas.openxmlformats.org/wordprocessingml/2006/main p")
    'p'
    """
    return name.rpartition(" ")[2]


def _parse(
    stream: Stream,
    start: Callable[[str, dict[str, str]], object],
    end: Callable[[str], object] | None,
    characters: Callable[[str], object] | None,
) -> None:
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = characters
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        while chunk := stream.read(PACKED_CHUNK):
            parser.Parse(chunk, False)
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise DataError(f"damaged XML ({expat.ErrorString(error.code)}, line {error.lineno})") from None


def _refuse_doctype(*_: object) -> None:
    raise DataError("XML with a document type, which may hold a bomb of entities")
