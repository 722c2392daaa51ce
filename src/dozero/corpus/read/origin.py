"""Where a text comes from, carried down through archives to the record, and how a text or record becomes a document."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from dozero.corpus.document import Document
from dozero.corpus.read.limits import Budget, Limits, Unreadable
from dozero.errors import DataError

DEFAULT_FIELD = "text"
# Tried in this order when nobody named a field and there is no "text": what published corpora in both languages use.
USUAL_FIELDS = ("content", "body", "document", "article", "raw_content", "texto", "conteudo", "conteúdo", "corpo")
FAULTS_TOLD = 5
FIELDS_TOLD = 12


@dataclass(frozen=True)
class Origin:
    """The file or member that is being read: its name, what its source declared, and what it may cost."""

    name: str
    licence: str
    collection: str
    text_field: str
    limits: Limits
    budget: Budget
    depth: int = 0

    def inside(self, member: str) -> Origin:
        """Return the origin of a member; DataError when that is a layer too deep."""
        if self.depth >= self.limits.depth:
            raise DataError(f"packed more than {self.limits.depth} times, one in the other")
        return replace(self, name=f"{self.name}!{member}" if member else self.name, depth=self.depth + 1)

    def document(self, text: str, record: int = 0, *, source: str = "", licence: str = "") -> Document | Unreadable:
        """Return the text as a document, or why it is none; a record's own source and licence come first."""
        where = f"{self.name}#{record}" if record else self.name
        if len(text) > self.limits.largest_document_chars:
            return Unreadable(where, f"longer than {self.limits.largest_document_chars:,} characters")
        if not text or text.isspace():
            return Unreadable(where, "empty: no text in it")
        if not is_unicode(text):
            return Unreadable(where, "holds half of a surrogate pair, which is no Unicode text")
        return Document(text, source or where, licence or self.licence, "", self.collection)


def is_unicode(text: str) -> bool:
    """Return whether the text can be written as UTF-8: lone surrogates, which JSON may hold, cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def find_text_field(names: Collection[str], wanted: str) -> str:
    """Return the field that holds the text: the one asked for, or when that is the default `text`, a usual other one.

    >>> find_text_field(["id", "content"], "text")
    'content'
    """
    if wanted in names:
        return wanted
    if wanted == DEFAULT_FIELD:
        for name in USUAL_FIELDS:
            if name in names:
                return name
    told = ", ".join([str(name)[:40] for name in names][:FIELDS_TOLD]) or "none"
    raise DataError(f'no field "{wanted}"; it has {told}{", ..." if len(names) > FIELDS_TOLD else ""}')


def read_record(record: Mapping[str, Any], number: int, where: str, origin: Origin) -> Document | Unreadable:
    """Return the document of a record of jsonl, json, csv or parquet, or why it gives none."""
    try:
        name = find_text_field(record.keys(), origin.text_field)
    except DataError as error:
        return Unreadable(where, error.what)
    text = record[name]
    if not isinstance(text, str):
        kind = "empty (null)" if text is None else type(text).__name__
        return Unreadable(where, f'field "{name}" is {kind}, not text')
    made = origin.document(text, number, source=_first_text(record, "url", "source"), licence=licence_of(record))
    return Unreadable(where, made.what) if isinstance(made, Unreadable) else made


def licence_of(record: Mapping[str, Any]) -> str:
    """Return the licence a record declares for itself, or an empty string."""
    return _first_text(record, "licence", "license")


def _first_text(record: Mapping[str, Any], *names: str) -> str:
    for name in names:
        value = record.get(name)
        if isinstance(value, str) and value and is_unicode(value):
            return value
    return ""


def tell_few_faults(items: Iterable[Document | Unreadable], name: str) -> Iterator[Document | Unreadable]:
    """Yield the same items, but of equal faults only the first five, and at the end how many more there were."""
    counts: dict[str, int] = {}
    for item in items:
        if isinstance(item, Document):
            yield item
            continue
        counts[item.what] = counts.get(item.what, 0) + 1
        if counts[item.what] <= FAULTS_TOLD:
            yield item
    for what, count in counts.items():
        if count > FAULTS_TOLD:
            yield Unreadable(name, f"{count - FAULTS_TOLD} more records: {what}")
