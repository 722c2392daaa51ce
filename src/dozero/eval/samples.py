"""Texts that a model writes freely: do they repeat themselves, are they alike, and what of them is copied?"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from dozero.corpus.document import Document
from dozero.eval.bootstrap import Interval, interval_of, mean, ratio
from dozero.eval.copies import SHORTEST, Copies, find_copies
from dozero.eval.measure import Measure, Outcome
from dozero.generate.language_model import LanguageModel
from dozero.settings import GenerateConfig

WORD = re.compile(r"\w+|[^\w\s]")
REPEATED_WORDS = 4
AT_ONCE = 25
UNKNOWN = float("nan")


def write_samples(model: LanguageModel, count: int, config: GenerateConfig, seed: int) -> list[str]:
    """Return so many texts that the model writes from nothing, the same for the same seed."""
    texts: list[str] = []
    while len(texts) < count:
        texts += model.generate_many(min(AT_ONCE, count - len(texts)), "", config, seed + len(texts))
    return texts


def repetition(text: str, n: int = REPEATED_WORDS) -> tuple[int, int]:
    """Return how many runs of n words of a text came before in it, and how many there are.

    >>> repetition("ele viu o mar e ele viu o mar de novo")
    (1, 8)
    """
    runs = _runs(text, n)
    return len(runs) - len(set(runs)), len(runs)


def distinct(texts: Iterable[str], n: int) -> float:
    """Return the share of different runs of n words among all of the texts (distinct-n, Li et al. 2016).

    >>> distinct(["a b a b"], 1), distinct(["a b a b"], 2)
    (0.5, 0.6666666666666666)
    """
    counts = Counter(run for text in texts for run in _runs(text, n))
    return len(counts) / counts.total() if counts else UNKNOWN


def _runs(text: str, n: int) -> list[tuple[str, ...]]:
    words = WORD.findall(text)
    return list(zip(*(words[i:] for i in range(n)), strict=False))


def mark_samples(texts: Sequence[str], documents: Iterable[Document] | None) -> Outcome:
    """Return what of the texts stands word for word in the documents, and how repetitive and varied they are.

    Without documents nothing is said of copies. Distinct-n has no interval: drawing texts again and again would count
    the same text as a repetition of itself.
    """
    repeated, runs = (np.array(column, dtype=np.float64) for column in zip(*map(repetition, texts), strict=True))
    measures = [
        Measure(f"repetition_{REPEATED_WORDS}", interval_of(ratio(repeated, runs), len(texts)), more_is_better=False)
    ]
    shares = {n: distinct(texts, n) for n in (1, 2, 3)}
    measures += [
        Measure(f"distinct_{n}", Interval(v, UNKNOWN, UNKNOWN)) for n, v in shares.items() if not math.isnan(v)
    ]
    if documents is None:
        rows = tuple({"where": f"sample {i}", "text": text} for i, text in enumerate(texts, 1))
        return Outcome(tuple(measures), rows, ratio(repeated, runs))
    found = find_copies(texts, documents)
    sizes = np.array([float(len(text)) for text in texts])
    copied, longest = ratio(found.copied_characters(len(texts)), sizes), found.longest(len(texts))
    whole = np.isin(np.arange(len(texts)), found.whole).astype(np.float64)
    about_copies = [
        Measure("copied", interval_of(copied, len(texts)), more_is_better=False),
        Measure("whole_copies", interval_of(mean(whole), len(texts)), more_is_better=False),
        Measure("longest_copy", Interval(float(longest.max()), UNKNOWN, UNKNOWN), more_is_better=False),
    ]
    rows = tuple(
        {"where": f"sample {i + 1}", "text": text, "longest_copy": int(longest[i]), "whole_copy": bool(whole[i])}
        for i, text in enumerate(texts)
    )
    return Outcome((*about_copies, *measures), rows, copied, copies_tree(found))


def copies_tree(found: Copies) -> dict[str, object]:
    """Return the copies as JSON holds them, the longest first, each with the document it stands in and its licence."""
    ordered = sorted(found.copies, key=lambda copy: -len(copy.text))
    return {
        "shortest": SHORTEST,
        "documents": found.documents,
        "characters": found.characters,
        "copies": [
            {
                "sample": copy.sample + 1,
                "at": copy.start,
                "characters": len(copy.text),
                "text": copy.text,
                "document": copy.document.id,
                "source": copy.document.source,
                "licence": copy.document.licence,
            }
            for copy in ordered
        ],
    }
