"""Comparison: the better model is called better, a model and itself are not told apart, and only fair items are asked."""

import json

import pytest
import torch

from dozero.errors import DataError
from dozero.eval.compare import Compared, Skipped, compare_models, compare_outcomes, compared_tree, without_texts
from dozero.eval.exams import exam_of_pairs, exam_of_task
from dozero.eval.task import Task, TaskConfig
from dozero.eval.text import mark_text
from dozero.testing import random_language_model

TEXTS = [f"{a}{b}{c}a" for a in "abcd" for b in "abcd" for c in "abcd"]


def task_of(texts):
    return Task("t", TaskConfig(kind="text"), tuple({"text": t, "where": str(n)} for n, t in enumerate(texts)), "d")


def knowing(texts):
    """A model that gives the letters of the texts alone, each alike: its blocks do nothing, all tokens are alike to it."""
    model = random_language_model(["abcdefgh"])
    with torch.no_grad():
        for name, p in model.model.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight", "lm_head.weight")):
                p.zero_()
            elif name.endswith(("embed_tokens.weight", "norm.weight")):
                p.fill_(1.0)
        for c in texts:
            model.model.lm_head.weight[int(model.tokenizer.encode(c)[0])] = 0.2
    return model


def test_the_better_model_is_called_better_from_either_side():
    vague = random_language_model(["abcdefgh"])
    with torch.no_grad():
        vague.model.lm_head.weight.zero_()
    known = knowing("abcd")
    better = (
        mark_text(known, task_of(TEXTS)).measures[0].interval.value
        < mark_text(vague, task_of(TEXTS)).measures[0].interval.value
    )
    (_, one), (_, other) = (
        list(compare_models(*pair, [exam_of_task(task_of(TEXTS))])) for pair in ((vague, known), (known, vague))
    )
    assert better
    assert one.better == "second"
    assert other.better == "first"
    assert one.difference.interval.value == pytest.approx(-other.difference.interval.value)
    assert json.loads(json.dumps(compared_tree(one)))["better"] == "second"


def test_a_model_is_not_told_apart_from_itself():
    model = random_language_model(["abcd"])
    (compared,) = [e for e in compare_models(model, model, [exam_of_task(task_of(TEXTS))]) if isinstance(e, Compared)]
    assert compared.better is None
    assert compared.difference.p == 1.0


def test_models_of_different_tokenizers_are_compared_by_bytes():
    one, other = random_language_model(["abcd"]), random_language_model(["abcdefghijklm"])
    (_, compared) = compare_models(one, other, [exam_of_task(task_of(TEXTS))])
    assert compared.first.name == compared.second.name == "bits_per_byte"
    assert compared.items == len(TEXTS)


def test_an_exam_that_one_cannot_read_is_left_out():
    model = random_language_model(["abcd"])
    (_, skipped) = compare_models(model, model, [exam_of_pairs("pt")])
    assert isinstance(skipped, Skipped)


def test_what_the_other_was_trained_on_is_left_out():
    task, count = without_texts(task_of(["a", "b", "c"]), ["b", "x"])
    assert [item["text"] for item in task.items] == ["a", "c"]
    assert count == 1
    with pytest.raises(DataError, match="no held-out document is new to both"):
        without_texts(task_of(["a"]), ["a"])


def test_only_the_same_items_are_compared():
    model = random_language_model(["abcd"])
    outcomes = mark_text(model, task_of(TEXTS)), mark_text(model, task_of(TEXTS[:9]))
    with pytest.raises(AssertionError, match="not the same items"):
        compare_outcomes("t", "text", *outcomes)
