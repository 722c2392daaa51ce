"""Reading documents: bits that add up to those of training, whole texts or cut, and figures of known models."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dozero.dataset.stream import encode_documents
from dozero.eval import text as text_module
from dozero.eval.likelihood import measure_surprise
from dozero.eval.task import Task, TaskConfig
from dozero.eval.text import mark_text, read_documents
from dozero.generate.language_model import LanguageModel
from dozero.testing import random_language_model
from dozero.tokenizer.imported import Imported
from dozero.tokenizer.tokenizer import END_ID, tree_of

MODEL = random_language_model(["coração mãe"], context=12)
V = MODEL.tokenizer.vocab_size
short = st.lists(st.text(MODEL.tokenizer.alphabet, max_size=11), min_size=1, max_size=8)


def task_of(texts):
    items = tuple({"text": text, "where": f"d {n}"} for n, text in enumerate(texts))
    return Task("t", TaskConfig(kind="text"), items, "digest")


@settings(max_examples=25)
@given(short)
def test_whole_documents_surprise_as_in_training(texts):
    reading = read_documents(MODEL, texts)
    surprise = measure_surprise(MODEL.model, encode_documents(texts, MODEL.tokenizer))
    assert (reading.nats + reading.end_nats).sum() == pytest.approx(surprise.nats, rel=1e-4)
    assert (reading.tokens + 1).sum() == surprise.tokens
    assert reading.bytes.sum() == surprise.bytes


@settings(max_examples=25)
@given(st.text(MODEL.tokenizer.alphabet, min_size=1, max_size=50))
def test_a_long_document_is_read_to_its_end(text):
    ids = MODEL.tokenizer.encode(text).tolist()
    reading = read_documents(MODEL, [text])
    tokens, nats = [END_ID, *ids, END_ID], []
    for place in range(1, len(tokens)):
        first = 12 * ((place - 1) // 12)
        end = min(first + 12, len(ids)) if place <= len(ids) else place  # of the window that predicts it
        with torch.no_grad():
            seen = torch.tensor([tokens[max(0, end - 12) : place]])
            nats.append(-MODEL.model(seen)[0, -1].log_softmax(-1)[tokens[place]].item())
    assert reading.tokens[0] == len(ids)
    assert reading.nats[0] == pytest.approx(sum(nats[:-1]), rel=1e-4, abs=1e-4)
    assert reading.end_nats[0] == pytest.approx(nats[-1], rel=1e-4, abs=1e-4)


@pytest.mark.parametrize(("begin", "first"), [(None, END_ID), (2, 2)])
def test_the_first_token_is_predicted_too_where_nothing_is_put_before_a_prompt(begin, first):
    ours = MODEL.tokenizer
    imported = Imported(json.dumps(tree_of(ours)), (END_ID,), END_ID, begin, END_ID, adds_begin=False)
    theirs = LanguageModel(MODEL.model, replace(ours, imported=imported, merges=()))
    assert theirs.tokenizer.begin([3]) == [3]
    reading, ids = read_documents(theirs, ["coração"]), ours.encode("coração").tolist()
    assert reading.tokens[0] == len(ids)
    with torch.no_grad():
        logits = MODEL.model(torch.tensor([[first, *ids[:-1]]]))[0].log_softmax(-1)
    assert reading.nats[0] == pytest.approx(-logits.gather(1, torch.tensor(ids)[:, None]).sum().item(), rel=1e-4)


def test_portions_change_nothing(monkeypatch):
    texts = ["co", "ração", "", "mãe" * 9, "a"]
    whole = read_documents(MODEL, texts)
    monkeypatch.setattr(text_module, "DOCUMENTS_AT_ONCE", 2)
    parts = read_documents(MODEL, texts)
    assert np.allclose(whole.nats, parts.nats, atol=1e-4)
    assert (whole.tokens == parts.tokens).all()
    assert np.allclose(whole.tables, parts.tables)


def test_a_uniform_guess_has_the_bits_of_its_vocabulary():
    model = random_language_model(["abcdefgh"], context=12)
    with torch.no_grad():
        model.model.lm_head.weight.zero_()
    outcome = mark_text(model, task_of(["abc", "hgfedcba" * 4]))
    named = {m.name: m for m in outcome.measures}
    assert named["bits_per_byte"].interval.value == pytest.approx(math.log2(9))
    assert named["bits_per_byte"].verdict != "better"
    assert named["perplexity"].interval.value == pytest.approx(9)
    assert named["bits_per_byte_with_ends"].interval.value == pytest.approx(math.log2(9) * 37 / 35)


def test_items_and_details_add_up_to_the_headline():
    outcome = mark_text(MODEL, task_of(["co", "ração", "mãe" * 9]))
    nats, size = (sum(item[key] for item in outcome.items) for key in ("nats", "bytes"))
    assert outcome.measures[0].interval.value == pytest.approx(nats / math.log(2) / size)
    predictions = sum(item["tokens"] + 1 for item in outcome.items)
    assert sum(b["count"] for b in outcome.details["bins"]) == predictions
    correct = sum(item["correct"] for item in outcome.items)
    named = {m.name: m.interval.value for m in outcome.measures}
    assert named["next_token_accuracy"] == pytest.approx(correct / predictions)
    assert sum(b["count"] * b["accuracy"] for b in outcome.details["bins"]) == pytest.approx(correct)
