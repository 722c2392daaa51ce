"""Answers that a model need not write: the likeliest of several choices, or of a few labels."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from dozero.errors import DataError
from dozero.eval.bootstrap import interval_of, mean
from dozero.eval.classes import confusion, macro_f1, score_classes
from dozero.eval.measure import Measure, Outcome
from dozero.eval.score import score_texts
from dozero.eval.task import Task, right_choice, word_of
from dozero.generate.language_model import LanguageModel


def mark_choices(model: LanguageModel, task: Task) -> Outcome:
    """Return how often the right choice is the likeliest: as it is, and per character of the choice."""
    asked = [(task.prompt_of(item), item[task.config.choices]) for item in task.items]
    right = np.array([right_choice(task.config, item) for item in task.items])
    scores = score_texts(
        model, [(prompt, task.config.join + choice) for prompt, choices in asked for choice in choices]
    )
    logprobs = iter([score.logprob for score in scores])
    of_item = [np.array([next(logprobs) for _ in choices]) for _, choices in asked]
    lengths = [np.array([float(len(choice)) for choice in choices]) for _, choices in asked]
    said = np.array([int(found.argmax()) for found in of_item])
    said_normed = np.array([int((found / n).argmax()) for found, n in zip(of_item, lengths, strict=True)])
    chance = float(np.mean([1 / len(choices) for _, choices in asked]))
    is_right, is_right_normed = (said == right).astype(np.float64), (said_normed == right).astype(np.float64)
    measures = (
        Measure("accuracy", interval_of(mean(is_right), len(asked)), chance),
        Measure("accuracy_per_character", interval_of(mean(is_right_normed), len(asked)), chance),
    )
    rows = tuple(
        {
            "where": item["where"],
            "right": int(r),
            "said": int(s),
            "said_per_character": int(n),
            "logprobs": found.tolist(),
        }
        for item, r, s, n, found in zip(task.items, right, said, said_normed, of_item, strict=True)
    )
    return Outcome(measures, rows, mean(is_right))


def mark_labels(model: LanguageModel, task: Task) -> Outcome:
    """Return accuracy, F1 of each class and the confusion matrix where the likeliest label is the answer."""
    labels = task.config.labels
    if len(labels) < 2:
        raise DataError("only one label", where=task.name, expected="two labels or more", got=", ".join(labels))
    prompts = [task.prompt_of(item) for item in task.items]
    answers = [task.config.join + word_of(task.config, label) for label in labels]
    scores = score_texts(model, [(prompt, answer) for prompt in prompts for answer in answers])
    logprobs = np.array([score.logprob for score in scores]).reshape(len(prompts), len(labels))
    right = np.array([labels.index(str(item[task.config.answer])) for item in task.items])
    said = logprobs.argmax(axis=1)
    measures, details = class_measures(right, said, labels)
    rows = tuple(
        {"where": item["where"], "right": labels[r], "said": labels[s], "logprobs": found.tolist()}
        for item, r, s, found in zip(task.items, right, said, logprobs, strict=True)
    )
    return Outcome(measures, rows, mean((said == right).astype(np.float64)), details)


def class_measures(
    right: NDArray[np.int64], said: NDArray[np.int64], labels: tuple[str, ...]
) -> tuple[tuple[Measure, ...], dict[str, object]]:
    """Return accuracy and macro F1 with intervals, and each class with the confusion matrix as details.

    Chance is what always giving the commonest label gets.
    """
    items, matrix = len(right), confusion(right, said, len(labels))
    commonest = int(matrix.sum(axis=1).argmax())
    always = np.full_like(right, commonest)
    accuracy = interval_of(mean((said == right).astype(np.float64)), items)
    f1 = interval_of(macro_f1(right, said, len(labels)), items)
    measures = (
        Measure("accuracy", accuracy, float(np.mean(right == commonest))),
        Measure("macro_f1", f1, float(macro_f1(right, always, len(labels))(np.ones((1, items)))[0])),
    )
    classes = [asdict(score) for score in score_classes(matrix, labels)]
    return measures, {"labels": list(labels), "classes": classes, "confusion": matrix.tolist()}
