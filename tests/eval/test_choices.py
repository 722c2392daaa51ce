"""Choices and labels: what is counted follows from the likelihoods, and a model made to know the answers gets them."""

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score

from dozero.errors import DataError
from dozero.eval.choices import class_measures, mark_choices, mark_labels
from dozero.eval.score import score_texts
from dozero.eval.task import Task, TaskConfig
from dozero.testing import random_language_model

MODEL = random_language_model(["abcdefgh ?:"], context=48)


def task_of(items, **config):
    items = tuple({**item, "where": f"i {n}"} for n, item in enumerate(items))
    return Task("t", TaskConfig(**config), items, "digest")


CHOICES = task_of(
    [{"q": "a b", "choices": ["c", "d d d", "e"], "answer": 0}, {"q": "f", "choices": ["g h", "h"], "answer": "h"}] * 6,
    kind="choice",
    prompt="{q}?",
)


def test_the_likeliest_choice_is_said_as_it_is_and_per_character():
    outcome = mark_choices(MODEL, CHOICES)
    for item, told in zip(CHOICES.items, outcome.items, strict=True):
        choices = item["choices"]
        scores = [s.logprob for s in score_texts(MODEL, [(f"{item['q']}?", f" {c}") for c in choices])]
        assert told["logprobs"] == pytest.approx(scores, abs=1e-4)
        assert told["said"] == int(np.argmax(scores))
        assert told["said_per_character"] == int(np.argmax([s / len(c) for s, c in zip(scores, choices, strict=True)]))
    right = np.mean([told["said"] == told["right"] for told in outcome.items])
    assert outcome.measures[0].interval.value == pytest.approx(right)
    assert outcome.measures[0].chance == pytest.approx((1 / 3 + 1 / 2) / 2)


def test_labels_are_scored_by_their_words():
    items = [{"q": q, "label": label} for q, label in zip("abcdefgh", "xyxyxyxy", strict=True)]
    task = task_of(items, kind="label", prompt="{q}:", answer="label", labels=("x", "y"), words={"x": "a", "y": "b"})
    outcome = mark_labels(MODEL, task)
    scores = score_texts(MODEL, [(f"{item['q']}:", f" {word}") for item in items for word in "ab"])
    said = ["x" if a.logprob >= b.logprob else "y" for a, b in zip(scores[::2], scores[1::2], strict=True)]
    assert [told["said"] for told in outcome.items] == said
    right = [item["label"] for item in items]
    named = {m.name: m.interval.value for m in outcome.measures}
    assert named["accuracy"] == pytest.approx(accuracy_score(right, said))
    assert named["macro_f1"] == pytest.approx(f1_score(right, said, average="macro", zero_division=0))
    assert sum(map(sum, outcome.details["confusion"])) == len(items)


def test_a_model_that_knows_is_right_and_not_at_chance():
    model = random_language_model(["abcd :"], context=16)
    ids = {c: int(model.tokenizer.encode(c)[0]) for c in "abcd "}
    with torch.no_grad():
        for p in model.model.parameters():
            p.fill_(1.0 if p.ndim == 1 else 0.0)
        embedding, head = model.model.model.embed_tokens.weight, model.model.lm_head.weight
        embedding[ids[" "], 0] = 1.0
        head[ids["c"], 0] = 5.0  # after a space it says c
    task = task_of([{"q": "a", "choices": ["b", "c"], "answer": "c"}] * 30, kind="choice", prompt="{q}:")
    measure = mark_choices(model, task).measures[0]
    assert measure.interval.value == 1.0
    assert measure.verdict == "better"


def test_always_the_commonest_label_is_at_chance():
    right, said = np.array([0] * 30 + [1] * 20), np.zeros(50, dtype=np.int64)
    (accuracy, f1), details = class_measures(right, said, ("a", "b"))
    assert accuracy.interval.value == accuracy.chance == 0.6
    assert accuracy.verdict == "at_chance"
    assert f1.interval.value == pytest.approx(f1.chance)
    assert [c["recall"] for c in details["classes"]] == [1.0, 0.0]


def test_one_label_is_nothing_to_choose_from():
    task = task_of([{"q": "a", "label": "x"}], kind="label", prompt="{q}", answer="label", labels=("x",))
    with pytest.raises(DataError, match="only one label"):
        mark_labels(MODEL, task)
