"""Samples: the same for a seed however many at once; figures of known texts; copies as JSON tells them."""

import json

import pytest

from dozero.corpus.document import Document
from dozero.eval import samples as samples_module
from dozero.eval.samples import distinct, mark_samples, repetition, write_samples
from dozero.settings import GenerateConfig
from dozero.testing import random_language_model

PASSAGE = "era uma vez um gato que morava perto do mar"


def test_samples_follow_from_the_seed_alone(monkeypatch):
    model = random_language_model(["abcdef "])
    config = GenerateConfig(max_tokens=8)
    whole = write_samples(model, 7, config, seed=3)
    assert len(whole) == 7
    monkeypatch.setattr(samples_module, "AT_ONCE", 3)
    assert write_samples(model, 7, config, seed=3) == whole
    assert write_samples(model, 7, config, seed=4)[:6] == whole[1:]


def test_repetition_and_variety_of_known_texts():
    assert repetition("a b c d") == (0, 1)
    assert repetition("a b c d a b c d") == (1, 5)
    assert repetition("a b") == (0, 0)
    assert distinct(["a b", "a c"], 1) == 0.75
    assert distinct(["a b", "a c"], 2) == 1.0


def test_copies_are_told_with_document_licence_and_share():
    texts = ["xyz " + PASSAGE, "nada aqui foi copiado de lugar algum, nem uma frase"]
    outcome = mark_samples(texts, [Document(PASSAGE + ".", "gato.txt", "CC0-1.0"), Document("outro", "o.txt", "own")])
    named = {m.name: m.interval.value for m in outcome.measures}
    assert named["longest_copy"] == len(PASSAGE) + 0
    assert named["copied"] == pytest.approx(len(PASSAGE) / sum(map(len, texts)))
    assert named["whole_copies"] == 0
    (copy,) = outcome.details["copies"]
    assert (copy["sample"], copy["at"], copy["text"]) == (1, 4, PASSAGE)
    assert (copy["source"], copy["licence"]) == ("gato.txt", "CC0-1.0")
    assert copy["document"] == Document(PASSAGE + ".", "", "").id
    json.dumps(outcome.details, allow_nan=False)


def test_a_whole_document_is_told_however_short():
    outcome = mark_samples(["mar", "novo"], [Document("mar", "w", "own")])
    named = {m.name: m.interval.value for m in outcome.measures}
    assert (named["whole_copies"], named["longest_copy"]) == (0.5, 0)
    assert [item["whole_copy"] for item in outcome.items] == [True, False]


def test_without_a_corpus_nothing_is_said_of_copies():
    outcome = mark_samples(["a b c d a b c d", "e"], None)
    assert {m.name for m in outcome.measures} == {"repetition_4", "distinct_1", "distinct_2", "distinct_3"}
    assert "copies" not in outcome.details
