"""The filters of `dozero.corpus.rules` as datatrove has them: its classes, its words, its sentences.

    python benchmarks/peers/datatrove_filters.py FILE.jsonl [--language pt]

prints how many documents of a JSONL file ("text" in each line) are kept, by which reason the others fall, and the
seconds of processor time spent; `judge_all` is what a benchmark calls.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from datatrove.pipeline.filters.base_filter import BaseFilter


@dataclass
class Outcome:
    """What became of the documents, and what it cost."""

    reasons: Counter[str]
    """Number of documents by reason, "" for those kept."""
    seconds: Mapping[str, float]
    """Processor time by filter."""


def make_theirs(language: Any, gopher: Mapping[str, Any] | None = None) -> dict[str, BaseFilter]:
    """Return datatrove's filters for a language (a code, or one of its word tokenizers) by the names they have here."""
    return {
        "gopher_quality": GopherQualityFilter(language=language, **(gopher or {})),
        "gopher_repetition": GopherRepetitionFilter(language=language),
        "c4": C4QualityFilter(language=language),
        "fineweb": FineWebQualityFilter(language=language),
    }


def judge_all(texts: Iterable[str], theirs: Mapping[str, BaseFilter]) -> Outcome:
    """Judge each text by the filters in their order until one drops it."""
    reasons = Counter[str]()
    seconds = dict.fromkeys(theirs, 0.0)
    for number, text in enumerate(texts):
        reason = ""
        for name, judge in theirs.items():
            start = time.process_time()
            verdict = judge.filter(Document(text=text, id=str(number)))
            seconds[name] += time.process_time() - start
            if verdict is not True:
                reason = f"{name}: {verdict[1]}" if isinstance(verdict, tuple) else name
                break
        reasons[reason] += 1
    return Outcome(reasons, seconds)


def main() -> None:
    """Judge the documents of one file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("--language", default="pt")
    options = parser.parse_args()
    with options.file.open(encoding="utf-8") as lines:
        outcome = judge_all((json.loads(line)["text"] for line in lines), make_theirs(options.language))
    for reason, number in outcome.reasons.most_common():
        print(f"{number:8} {reason or 'kept'}")
    for name, spent in outcome.seconds.items():
        print(f"{spent:8.2f} s {name}")


if __name__ == "__main__":
    main()
