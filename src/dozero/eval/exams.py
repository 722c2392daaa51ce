"""Exams: what a model is asked, whatever it comes from, and the running of them one after another."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np

from dozero.corpus.document import Document
from dozero.dataset.shards import Dataset
from dozero.errors import DataError
from dozero.eval.choices import mark_choices, mark_labels
from dozero.eval.measure import Outcome
from dozero.eval.minimal_pairs import make_pairs, mark_pairs
from dozero.eval.results import Result, identify_model, result_of, write_result
from dozero.eval.samples import mark_samples, write_samples
from dozero.eval.task import Task, TaskConfig, choose_places
from dozero.eval.text import mark_text
from dozero.eval.written import mark_exact, mark_free
from dozero.generate.language_model import LanguageModel
from dozero.settings import GenerateConfig
from dozero.tokenizer.tokenizer import Tokenizer

HELDOUT, SAMPLES, PAIRS = "heldout", "samples", "pairs"
MARKS: Mapping[str, Callable[[LanguageModel, Task], Outcome]] = {
    "text": mark_text,
    "choice": mark_choices,
    "label": mark_labels,
    "exact": mark_exact,
    "translate": mark_free,
    "free": mark_free,
}
"""How each kind of task is marked."""


@dataclass(frozen=True)
class Exam:
    """Something to ask a model, and what it is made of."""

    name: str
    kind: str
    ask: Callable[[LanguageModel], Outcome]
    inputs: dict[str, str] = field(default_factory=dict)
    lang: str = ""
    licence: str = ""
    of_items: int = 0
    """Items there are, when not all are asked."""
    is_optional: bool = False
    """Whether it may be left out, with the reason told, for a model that cannot read it."""


@dataclass(frozen=True)
class Asking:
    """An exam begins."""

    task: str
    kind: str


@dataclass(frozen=True)
class Skipped:
    """An exam was left out."""

    task: str
    reason: str


def exam_of_task(task: Task) -> Exam:
    """Return the exam that a task is."""
    config = task.config
    return Exam(
        task.name, config.kind, lambda model: MARKS[config.kind](model, task), {"task": task.digest}, config.lang,
        config.licence, task.of_items,
    )  # fmt: skip


def heldout_task(dataset: Dataset, tokenizer: Tokenizer, limit: int) -> Task:
    """Return the task of predicting at most `limit` held-out documents (0: all), as text, so that any model can."""
    about = dataset.manifest.about
    config = TaskConfig(kind="text", lang=str(about.get("language", "")), licence=str(about.get("licence", "")))
    stream = dataset.heldout
    ids, bounds = stream.ids, np.append(stream.starts, stream.tokens).tolist()
    items = tuple(
        {"text": tokenizer.decode(ids[bounds[n] + 1 : bounds[n + 1]].tolist()), "where": f"{HELDOUT} {n}"}
        for n in choose_places(stream.documents, limit)
    )
    return Task(HELDOUT, config, items, dataset.manifest.fingerprint, of_items=stream.documents)


@cache  # thousands of sentences, the same each time
def exam_of_pairs(lang: str) -> Exam:
    """Return the exam of minimal pairs in a language; a model without its letters may leave it out."""
    pairs = make_pairs(lang)
    return Exam(
        f"{PAIRS}-{lang}", PAIRS, lambda model: mark_pairs(model, pairs), {"pairs": f"{lang}, {len(pairs)}"}, lang,
        "Apache-2.0", is_optional=True,
    )  # fmt: skip


def exam_of_samples(
    count: int,
    config: GenerateConfig,
    seed: int,
    documents: Callable[[], Iterable[Document]] | None,
    inputs: dict[str, str],
) -> Exam:
    """Return the exam of samples, held against the documents it learned from, where those are known."""

    def ask(model: LanguageModel) -> Outcome:
        return mark_samples(write_samples(model, count, config, seed), documents() if documents else None)

    return Exam(SAMPLES, SAMPLES, ask, inputs | {"settings": f"seed {seed}, {config.model_dump_json()}"})


def run_exams(
    model: LanguageModel, model_folder: Path, exams: Sequence[Exam], lang: str, out: Path
) -> Iterator[Asking | Skipped | Result]:
    """Ask a model each exam, keep what came of it in `out`, and yield it. Captions of pictures are in "pt" or "en"."""
    identity = identify_model(model_folder)
    for exam in exams:
        yield Asking(exam.name, exam.kind)
        began = time.perf_counter()
        try:
            outcome = exam.ask(model)
        except DataError as error:
            if not exam.is_optional:
                raise
            yield Skipped(exam.name, str(error))
            continue
        result = result_of(
            exam.name, exam.kind, outcome, time.perf_counter() - began, lang=exam.lang, licence=exam.licence,
            of_items=exam.of_items,
        )  # fmt: skip
        path = write_result(result, outcome, {"model": identity, **exam.inputs}, lang, out)
        yield replace(result, path=str(path))
