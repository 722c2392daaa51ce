"""Answers that a model writes: compared exactly after being normalised, or by BLEU and chrF with their references."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dozero.errors import DataError, MissingExtra
from dozero.eval.bootstrap import Statistic, interval_of, mean
from dozero.eval.measure import Measure, Outcome
from dozero.eval.task import Task, references_of
from dozero.generate.language_model import LanguageModel
from dozero.settings import GenerateConfig

ARTICLES = re.compile(r"\b(?:a|an|the|o|os|as|um|uma|uns|umas)\b", re.IGNORECASE)


def write_answers(model: LanguageModel, task: Task) -> list[str]:
    """Return what the model writes after each prompt, always the likeliest token, up to the first stop."""
    config = GenerateConfig(temperature=0, max_tokens=task.config.max_tokens)
    answers = []
    for item in task.items:
        prompt = fit_prompt(model, task.prompt_of(item), task.config.max_tokens)
        answers.append(cut_at_stop(model.generate(prompt, config)[len(prompt) :], task.config.stop))
    return answers


def fit_prompt(model: LanguageModel, prompt: str, answer_tokens: int) -> str:
    """Return the prompt, or as much of its end as leaves room for an answer in the context."""
    room = model.model.config.max_seq_len - answer_tokens - 1
    if room < 1:
        raise DataError(
            "leaves no room for a prompt", where="task.max_tokens", expected=f"fewer than {model.model.config.max_seq_len - 1}",
            got=answer_tokens,
        )  # fmt: skip
    ids = model.tokenizer.encode(prompt).tolist()
    while len(ids) > room:  # what is left may be cut into more tokens than it was
        prompt = model.tokenizer.decode(ids[len(ids) - room :]).lstrip("\ufffd")
        ids = model.tokenizer.encode(prompt).tolist()
        room = room if len(ids) <= room else room - 1
    return prompt


def cut_at_stop(text: str, stops: Sequence[str]) -> str:
    r"""Return the text up to the first of the stops, without the space around it.

    >>> cut_at_stop(" 42\nNext question", ("\n",))
    '42'
    """
    started = text.lstrip()
    return started[: min([len(started), *(at for stop in stops if (at := started.find(stop)) >= 0)])].strip()


def normalised(text: str, ignored: Sequence[str]) -> str:
    """Return a text without the differences that do not count.

    >>> normalised(" A  Avó, está! ", ("case", "accents", "punctuation", "articles"))
    'avo esta'
    """
    if "case" in ignored:
        text = text.lower()
    if "accents" in ignored:
        text = "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))
    if "punctuation" in ignored:
        text = "".join(c for c in text if not unicodedata.category(c).startswith("P"))
    if "articles" in ignored:
        text = ARTICLES.sub(" ", text)
    return " ".join(text.split())


def mark_exact(model: LanguageModel, task: Task) -> Outcome:
    """Return how often the answer written is a right one."""
    ignored = task.config.normalise
    answers = write_answers(model, task)
    right = np.zeros(len(answers))
    for i, (item, answer) in enumerate(zip(task.items, answers, strict=True)):
        expected = {normalised(text, ignored) for text in references_of(task.config, item)}
        right[i] = normalised(answer, ignored) in expected
    rows = tuple(
        {"where": item["where"], "written": answer, "right": bool(is_right)}
        for item, answer, is_right in zip(task.items, answers, right, strict=True)
    )
    measure = Measure("exact_match", interval_of(mean(right), len(answers)), 0.0)
    return Outcome((measure,), rows, mean(right))


def mark_free(model: LanguageModel, task: Task) -> Outcome:
    """Return BLEU and chrF of what is written, with the signatures that say how they were computed."""
    answers = write_answers(model, task)
    references = [references_of(task.config, item) for item in task.items]
    measures, headline, signatures = translation_measures(answers, references)
    rows = tuple(
        {"where": item["where"], "written": answer, "references": told}
        for item, answer, told in zip(task.items, answers, references, strict=True)
    )
    return Outcome(measures, rows, headline, {"signatures": signatures})


def translation_measures(
    written: Sequence[str], references: Sequence[Sequence[str]]
) -> tuple[tuple[Measure, ...], Statistic, dict[str, str]]:
    """Return chrF and BLEU with intervals, chrF's statistic and both signatures; MissingExtra without sacrebleu.

    chrF comes first: of a language with many endings it tells more than whole words do.
    """
    try:
        from sacrebleu.metrics.bleu import BLEU
        from sacrebleu.metrics.chrf import CHRF
    except ImportError:
        raise MissingExtra("sacrebleu", extra="evaluate") from None

    most = max(map(len, references))
    # One list for each reference of every item; an item with fewer has none in the later lists.
    columns = [[told[n] if n < len(told) else None for told in references] for n in range(most)]
    measures, statistics, signatures = [], [], {}
    for name, metric in (("chrf", CHRF()), ("bleu", BLEU())):
        statistic = _of_corpus(metric, list(written), columns)
        statistics.append(statistic)
        measures.append(Measure(name, interval_of(statistic, len(written))))
        signatures[name] = metric.get_signature().format(short=False)
    return tuple(measures), statistics[0], signatures


def _of_corpus(metric: Any, written: list[str], columns: list[list[str | None]]) -> Statistic:
    """Return the corpus score as a function of how often each item is drawn: it follows from sums over the items.

    sacrebleu's own test of significance goes this way, too.
    """
    sums = np.array(metric._extract_corpus_statistics(written, columns), dtype=np.float64)

    def score(counts: NDArray[np.float64]) -> NDArray[np.float64]:
        drawn = np.rint(counts @ sums).astype(np.int64)
        return np.array([metric._compute_score_from_stats(row.tolist()).score for row in drawn])

    metric.corpus_score(written, columns)  # gives the signature its number of references
    return score
