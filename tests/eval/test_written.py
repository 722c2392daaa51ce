"""Written answers: cut, normalised and compared; BLEU and chrF to the last bit those of sacrebleu."""

import itertools
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dozero.errors import DataError, MissingExtra
from dozero.eval.task import Task, TaskConfig
from dozero.eval.written import cut_at_stop, fit_prompt, mark_exact, mark_free, normalised, translation_measures
from dozero.testing import random_language_model
from dozero.tokenizer.tokenizer import END_ID

words = st.lists(
    st.sampled_from(["o", "gato", "dorme", "na", "cadeira", "azul", "e", "verde", "hoje", ",", "."]), max_size=12
).map(" ".join)


def speaking(text, context=32):
    """A model that writes this text, its characters all different, after its first one."""
    model = random_language_model([text], context)
    ids = model.tokenizer.encode(text).tolist()
    with torch.no_grad():
        for p in model.model.parameters():
            p.fill_(1.0 if p.ndim == 1 else 0.0)
        C = model.model.config.d_model
        assert model.tokenizer.vocab_size <= C
        model.model.model.embed_tokens.weight[:, : model.tokenizer.vocab_size].fill_diagonal_(1.0)
        for now, after in itertools.pairwise([*ids, END_ID]):
            model.model.lm_head.weight[after, now] = 50.0
    return model


def task_of(*items, **config):
    items = tuple({**item, "where": f"i {n}"} for n, item in enumerate(items))
    return Task("t", TaskConfig(prompt="{q}", join="", **config), items, "digest")


@pytest.mark.parametrize(
    ("ignored", "text", "same"),
    [
        (("case",), "Lisboa", True),
        ((), "Lisboa", False),
        (("punctuation",), "lisboa.", True),
        (("accents",), "lisbôa", True),
        (("articles",), "a lisboa", True),
        (("case",), "  lisboa ", True),
        (("case",), "lisboas", False),
    ],
)
def test_only_the_differences_named_do_not_count(ignored, text, same):
    assert (normalised(text, ignored) == normalised("lisboa", ignored)) is same


@given(st.text(), st.lists(st.text(min_size=1, max_size=3), max_size=3))
def test_an_answer_ends_before_any_stop(text, stops):
    found = cut_at_stop(text, stops)
    assert found == found.strip()
    assert not any(stop in found for stop in stops)
    assert found in text


def test_what_is_written_is_compared_with_every_reference():
    model = speaking("abcd\nef")
    task = task_of({"q": "a", "answer": ["x", "BCD."]}, {"q": "a", "answer": "bc"}, kind="exact", max_tokens=8)
    outcome = mark_exact(model, task)
    assert [item["written"] for item in outcome.items] == ["bcd", "bcd"]
    assert [item["right"] for item in outcome.items] == [True, False]
    assert outcome.measures[0].interval.value == 0.5


@given(st.integers(1, 12), st.text("abc", max_size=60))
def test_a_prompt_is_cut_at_its_beginning_to_leave_room(answer_tokens, prompt):
    model = random_language_model(["abc"], context=16)
    fitted = fit_prompt(model, prompt, answer_tokens)
    assert prompt.endswith(fitted)
    assert 1 + len(model.tokenizer.encode(fitted)) + answer_tokens <= 16
    if len(prompt) + 1 + answer_tokens <= 16:
        assert fitted == prompt


def test_no_room_for_a_prompt_is_refused():
    with pytest.raises(
        DataError, match=r"task\.max_tokens: leaves no room for a prompt; expected fewer than 15; got 15"
    ):
        fit_prompt(random_language_model(["abc"], context=16), "a", 15)


@settings(max_examples=25)
@given(st.lists(st.tuples(words, words.filter(bool), words.filter(bool)), min_size=1, max_size=6))
def test_bleu_and_chrf_are_those_of_sacrebleu(told):
    sacrebleu = pytest.importorskip("sacrebleu", reason="needs the extra evaluate")
    written, first, second = (list(column) for column in zip(*told, strict=True))
    measures, _, signatures = translation_measures(written, list(zip(first, second, strict=True)))
    named = {m.name: m.interval.value for m in measures}
    bleu, chrf = sacrebleu.BLEU(), sacrebleu.CHRF()
    assert named["bleu"] == bleu.corpus_score(written, [first, second]).score
    assert named["chrf"] == chrf.corpus_score(written, [first, second]).score
    assert signatures == {"bleu": str(bleu.get_signature()), "chrf": str(chrf.get_signature())}


def test_drawn_sentences_score_as_a_corpus_of_them():
    sacrebleu = pytest.importorskip("sacrebleu", reason="needs the extra evaluate")
    written = ["o gato dorme na cadeira", "a casa é azul", "ele perdeu o relógio no mercado hoje"]
    references = [["o gato dorme na cadeira azul"], ["a casa é verde"], ["ele perdeu o relógio no mercado"]]
    _, statistic, _ = translation_measures(written, references)
    counts = np.array([[2.0, 0.0, 1.0]])
    drawn = [0, 0, 2]
    expected = sacrebleu.CHRF().corpus_score([written[i] for i in drawn], [[references[i][0] for i in drawn]]).score
    assert statistic(counts)[0] == expected


def test_items_may_have_different_numbers_of_references():
    pytest.importorskip("sacrebleu", reason="needs the extra evaluate")
    measures, _, _ = translation_measures(["a b c d e", "f g h i j"], [["a b c d e"], ["x", "f g h i j"]])
    assert {m.name: round(m.interval.value) for m in measures} == {"chrf": 100, "bleu": 100}


def test_a_translation_is_marked_end_to_end():
    pytest.importorskip("sacrebleu", reason="needs the extra evaluate")
    outcome = mark_free(speaking("a bcd"), task_of({"q": "a", "answer": "bcd"}, kind="translate", max_tokens=8))
    assert outcome.items[0]["written"] == "bcd"
    assert outcome.measures[0].name == "chrf"
    assert outcome.measures[0].interval.value == pytest.approx(100)
    assert "nrefs:1" in outcome.details["signatures"]["bleu"]


def test_without_sacrebleu_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sacrebleu.metrics.bleu", None)
    with pytest.raises(MissingExtra, match=r"sacrebleu.*dozero\[evaluate\]"):
        translation_measures(["a"], [["a"]])
