"""The facts of a curation as plain data: what was kept, what was dropped and why, and what it looked like.

A Summary is made of sums and of the smallest ids, so that summaries of parts can be merged in any order and give
what one pass over the whole would have given. Memory does not grow with the documents.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from dozero.artifact import Manifest
from dozero.corpus.card import CARD_FILES, data_card
from dozero.corpus.store import Stored
from dozero.durable import write_json

REPORT = "report.json"
SAMPLES, SAMPLE_CHARACTERS = 5, 120
UNREADABLE_LISTED = 200
KEPT = ""


class Kind(NamedTuple):
    """What documents are counted by; `reason` is empty for kept ones."""

    collection: str
    licence: str
    language: str
    reason: str


class Sample(NamedTuple):
    """The beginning of a document, to show what a reason means."""

    id: str
    source: str
    text: str


@dataclass
class Tally:
    """How much text there is of a kind; words are what stands between spaces."""

    documents: int = 0
    bytes: int = 0
    characters: int = 0
    words: int = 0

    def add(self, other: Tally) -> None:
        """Add another tally to this one."""
        self.documents += other.documents
        self.bytes += other.bytes
        self.characters += other.characters
        self.words += other.words


@dataclass
class Summary:
    """Sums over documents: add rows one at a time, merge what others added."""

    tallies: dict[Kind, Tally] = field(default_factory=dict)
    lengths: Counter[tuple[str, bool, int]] = field(default_factory=Counter)
    """Documents by unit (characters or words), kept or not, and bin: the bits of the length, as 128 to 255 has 8."""
    personal: Counter[str] = field(default_factory=Counter)
    """Personal data found, by kind."""
    personal_documents: Counter[str] = field(default_factory=Counter)
    """Documents in which a kind was found."""
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    """By reason, those with the smallest ids: ids are hashes, so it is a fair draw, and the same in any order."""

    @property
    def kept(self) -> int:
        """Number of documents kept."""
        return sum(tally.documents for kind, tally in self.tallies.items() if kind.reason == KEPT)

    @property
    def reasons(self) -> Counter[str]:
        """Number of documents dropped for each reason."""
        counts: Counter[str] = Counter()
        for kind, tally in self.tallies.items():
            if kind.reason != KEPT:
                counts[kind.reason] += tally.documents
        return counts

    def add(self, row: Stored) -> None:
        """Count a document."""
        document, reason = row.document, row.reason or KEPT
        text = document.text
        tally = Tally(1, len(text.encode()), len(text), len(text.split()))
        kind = Kind(document.collection, document.licence, document.lang, reason)
        self.tallies.setdefault(kind, Tally()).add(tally)
        self.lengths["characters", reason == KEPT, tally.characters.bit_length()] += 1
        self.lengths["words", reason == KEPT, tally.words.bit_length()] += 1
        for found in filter(None, row.personal.split(", ")):
            name, _, count = found.rpartition(" ")
            self.personal[name] += int(count)
            self.personal_documents[name] += 1
        self._sample(reason, [Sample(row.id, document.source, text[:SAMPLE_CHARACTERS])])

    def merge(self, other: Summary) -> None:
        """Count everything that another summary counted."""
        for kind, tally in other.tallies.items():
            self.tallies.setdefault(kind, Tally()).add(tally)
        self.lengths += other.lengths
        self.personal += other.personal
        self.personal_documents += other.personal_documents
        for reason, samples in other.samples.items():
            self._sample(reason, samples)

    def _sample(self, reason: str, new: Sequence[Sample]) -> None:
        held = self.samples.setdefault(reason, [])
        if len(held) < SAMPLES or new[0] < held[-1]:
            self.samples[reason] = sorted({*held, *new})[:SAMPLES]

    def to_json(self) -> dict[str, Any]:
        """Return tables as plain data: the largest first, equals by name."""
        reasons = self._table("reason", lambda kind: kind.reason != KEPT)
        return {
            "kept": vars(self._total(kept=True)),
            "dropped": vars(self._total(kept=False)),
            "reasons": [{**row, "samples": self._samples_of(row["reason"])} for row in reasons],
            "samples": self._samples_of(KEPT),
            "languages": self._both("language"),
            "licences": self._both("licence"),
            "sources": self._both("collection"),
            "lengths": {unit: self._histogram(unit) for unit in ("characters", "words")},
            "personal": [
                {"kind": kind, "found": count, "documents": self.personal_documents[kind]}
                for kind, count in sorted(self.personal.items(), key=lambda item: (-item[1], item[0]))
            ],
        }

    def _total(self, *, kept: bool) -> Tally:
        total = Tally()
        for kind, tally in self.tallies.items():
            if (kind.reason == KEPT) == kept:
                total.add(tally)
        return total

    def _table(self, by: str, wanted: Any) -> list[dict[str, Any]]:
        """Return the tallies of the wanted kinds, summed by one field of Kind."""
        sums: dict[str, Tally] = {}
        for kind, tally in self.tallies.items():
            if wanted(kind):
                sums.setdefault(getattr(kind, by), Tally()).add(tally)
        ordered = sorted(sums.items(), key=lambda item: (-item[1].documents, item[0]))
        return [{by: name, **vars(tally)} for name, tally in ordered]

    def _both(self, by: str) -> list[dict[str, Any]]:
        """Return kept and dropped documents and bytes by one field of Kind."""
        kept = {row[by]: row for row in self._table(by, lambda kind: kind.reason == KEPT)}
        dropped = {row[by]: row for row in self._table(by, lambda kind: kind.reason != KEPT)}
        rows = [
            {
                by: name,
                **{f"kept_{unit}": kept[name][unit] if name in kept else 0 for unit in ("documents", "bytes")},
                **{f"dropped_{unit}": dropped[name][unit] if name in dropped else 0 for unit in ("documents", "bytes")},
            }
            for name in kept | dropped
        ]
        return sorted(rows, key=lambda row: (-row["kept_documents"], -row["dropped_documents"], row[by]))

    def _histogram(self, unit: str) -> list[dict[str, int]]:
        """Return documents by length, each bin twice as wide as the one before, without gaps."""
        bins = [bits for name, _, bits in self.lengths if name == unit]
        return [
            {
                "from": 1 << bits - 1 if bits else 0,
                "to": (1 << bits) - 1,
                "kept": self.lengths[unit, True, bits],
                "dropped": self.lengths[unit, False, bits],
            }
            for bits in range(min(bins, default=1), max(bins, default=0) + 1)
        ]

    def _samples_of(self, reason: str) -> list[dict[str, str]]:
        return [sample._asdict() for sample in self.samples.get(reason, [])]


def summarise(rows: Iterable[Stored]) -> Summary:
    """Return the summary of documents kept and dropped."""
    summary = Summary()
    for row in rows:
        summary.add(row)
    return summary


def write_report(
    folder: Path, manifest: Manifest, summary: Summary, unread: Sequence[Sequence[str]], *, unread_count: int = 0
) -> None:
    """Write report.json and the data cards to the folder of a corpus, and its counts to the manifest.

    `unread` holds [where, what] of each thing that could not be read; `unread_count` is their number where only the
    first are at hand.
    """
    report = {
        **summary.to_json(),
        "unreadable": max(unread_count, len(unread)),
        "unreadable_listed": [{"where": where, "what": what} for where, what in unread[:UNREADABLE_LISTED]],
        "settings": manifest.config,
    }
    manifest.counts |= {
        "kept": summary.kept,
        "dropped": summary.reasons.total(),
        "by_reason": {row["reason"]: row["documents"] for row in report["reasons"]},
    }
    manifest.about |= about(report)
    write_json(folder / REPORT, report)
    for lang, name in CARD_FILES.items():
        (folder / name).write_text(data_card(report, lang), encoding="utf-8")


def about(report: Mapping[str, Any]) -> dict[str, str]:
    """Return source, licence and language of what was kept, each as one line: what models made of it repeat."""
    kept = {
        by: [row[by] for row in report[table] if row["kept_documents"]]
        for table, by in (("sources", "collection"), ("licences", "licence"), ("languages", "language"))
    }
    return {
        "source": ", ".join(kept["collection"]),
        "licence": ", ".join(name or "unknown" for name in kept["licence"]) or "unknown",
        "language": next(iter(kept["language"]), "") or "unknown",
    }


def read_report(folder: Path) -> dict[str, Any] | None:
    """Return the report of a curated corpus, or None for a folder that has none (a list of words has another)."""
    try:
        report = json.loads((folder / REPORT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return report if isinstance(report, dict) and isinstance(report.get("reasons"), list) else None
