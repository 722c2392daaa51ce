"""Minimal pairs: two sentences that differ in one place, one right and one wrong; which does a model find likelier?

They come from the words of the stories' grammar, so that a model trained on stories knows them, and a model trained on
anything else can be asked as well. The idea is that of BLiMP (Warstadt et al. 2020), for models small enough to be at
chance at any exam.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from dozero.errors import ConfigError
from dozero.eval.bootstrap import interval_of, mean
from dozero.eval.measure import Measure, Outcome
from dozero.eval.pairs_en import PHENOMENA_EN
from dozero.eval.pairs_pt import PHENOMENA_PT
from dozero.eval.score import score_texts
from dozero.generate.language_model import LanguageModel
from dozero.stories.grammar import load_grammar

PER_PHENOMENON = 400
TRIES = 40
"""Times as many sentences are drawn as are wanted before a phenomenon counts as used up."""
PHENOMENA: dict[str, Mapping[str, Callable[..., tuple[str, str]]]] = {"pt": PHENOMENA_PT, "en": PHENOMENA_EN}
"""The makers of pairs by language and phenomenon."""


class MinimalPair(NamedTuple):
    """A right and a wrong sentence."""

    phenomenon: str
    right: str
    wrong: str


def make_pairs(lang: str, per_phenomenon: int = PER_PHENOMENON, seed: int = 0) -> list[MinimalPair]:
    """Return that many different pairs of each phenomenon, or as many as there are; the same for the same seed."""
    if lang not in PHENOMENA:
        raise ConfigError("no minimal pairs in this language", expected=" or ".join(PHENOMENA), got=repr(lang))
    classes = load_grammar(lang).classes
    found = []
    for name, make in PHENOMENA[lang].items():
        draw = random.Random(f"{lang}/{name}/{seed}")
        drawn = (make(classes, draw) for _ in range(per_phenomenon * TRIES))
        found += [MinimalPair(name, *pair) for pair in _different(drawn, per_phenomenon)]
    return found


def _different(drawn: Iterator[tuple[str, str]], most: int) -> list[tuple[str, str]]:
    """Return the first `most` pairs that are all different."""
    found: dict[tuple[str, str], None] = {}
    for pair in drawn:
        found[pair] = None
        if len(found) == most:
            break
    return list(found)


def mark_pairs(model: LanguageModel, pairs: list[MinimalPair]) -> Outcome:
    """Return in how many pairs the right sentence is the likelier, overall and by phenomenon; chance is one half."""
    scores = score_texts(model, [("", sentence) for pair in pairs for sentence in (pair.right, pair.wrong)])
    logprobs = np.array([score.logprob for score in scores]).reshape(-1, 2)
    right = (logprobs[:, 0] > logprobs[:, 1]).astype(np.float64)
    names = np.array([pair.phenomenon for pair in pairs])
    measures = [Measure("accuracy", interval_of(mean(right), len(right)), 0.5)]
    for name in dict.fromkeys(names.tolist()):
        of_name = right[names == name]
        measures.append(Measure(name, interval_of(mean(of_name), len(of_name)), 0.5))
    rows = tuple(
        {"where": f"pair {i}", **pair._asdict(), "logprobs": found}
        for i, (pair, found) in enumerate(zip(pairs, logprobs.tolist(), strict=True), 1)
    )
    return Outcome(tuple(measures), rows, mean(right))
