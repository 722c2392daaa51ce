"""Parity is found where it is and missed where it is not: every figure falls when its fault is planted."""

from dataclasses import replace

import pytest
import torch

from dozero.generate.language_model import LanguageModel
from dozero.interop.engines import Ours
from dozero.interop.export import TYPES, export_model
from dozero.interop.verify import BARS, PROMPTS, compare, make_prompts, verify
from dozero.settings import GenerateConfig

CHATTY = "{% for m in messages %}{{ m.role + m.content + '\n' }}{% endfor %}"


@pytest.fixture
def model(ours):
    mine = ours(max_seq_len=32)
    return LanguageModel(mine.model, replace(mine.tokenizer, chat_template=CHATTY))


def seen_by(model, gives_logarithms=False, **changes):
    """Our own model as another program's, with a fault planted."""

    class Faulty(Ours):
        pass

    for name, change in changes.items():
        setattr(Faulty, name, change)
    return Faulty(model.model, model.tokenizer, "onnxruntime", gives_logarithms)


PROMPT_TEXTS = ["Era uma", "", "O gato"]


def test_a_model_is_at_no_distance_from_itself(model):
    parity = compare(seen_by(model), model, PROMPT_TEXTS, "f32")
    assert parity.holds
    assert (parity.largest_logit_difference, parity.bar) == (0, BARS["onnxruntime"])
    assert (parity.prompts, parity.same_text, parity.same_ids) == (3, 3, 3)
    assert parity.same_tokens == parity.tokens > 0
    assert parity.chat[0] == parity.chat[1] != ""


def test_logits_that_differ_are_found(model):
    other = seen_by(model, logits=lambda self, ids: Ours.logits(self, ids) + torch.eye(500)[7] * 0.01)
    parity = compare(other, model, PROMPT_TEXTS, "f32")
    assert parity.largest_logit_difference == pytest.approx(0.01, rel=1e-3)
    assert not parity.holds
    assert compare(other, model, PROMPT_TEXTS, "f16").holds, "the bar is for fp32"
    broken = seen_by(model, logits=lambda self, ids: Ours.logits(self, ids) * torch.nan)
    assert compare(broken, model, PROMPT_TEXTS, "f32").largest_logit_difference == float("inf")


def test_logarithms_are_compared_as_such_and_a_missing_token_is_found(model):
    same = seen_by(model, logits=lambda self, ids: Ours.logits(self, ids).log_softmax(-1), gives_logarithms=True)
    assert compare(same, model, PROMPT_TEXTS, "f32").largest_logit_difference < 1e-5

    def without_one(self, ids):
        row = Ours.logits(self, ids).log_softmax(-1)
        row[7] = -torch.inf
        return row

    gone = seen_by(model, logits=without_one, gives_logarithms=True)
    assert compare(gone, model, PROMPT_TEXTS, "f32").largest_logit_difference == float("inf")


def test_text_that_differs_is_counted_up_to_where_it_does(model):
    def another_third(self, ids, count):
        found = Ours.continue_greedily(self, ids, count)
        return [*found[:2], 99 if found[2] != 99 else 98, *found[3:]]

    parity = compare(seen_by(model, continue_greedily=another_third), model, PROMPT_TEXTS[:1], "f32")
    assert (parity.same_text, parity.same_tokens) == (0, 2)
    assert parity.holds, "text is told, not held: a tie may fall either way"


def test_ids_and_chats_that_differ_are_found_in_any_format(model):
    assert not compare(seen_by(model, encode=lambda self, text: [1]), model, PROMPT_TEXTS, "f16").holds
    assert not compare(seen_by(model, chat=lambda self, messages: "x"), model, PROMPT_TEXTS, "f16").holds


def test_prompts_are_what_the_model_writes_and_its_tokenizer_takes(ours):
    for kind in ("char", "bpe"):
        mine = ours(kind=kind)
        prompts = make_prompts(mine, 10)
        assert prompts == make_prompts(mine, 10)
        assert len(set(prompts)) > 3
        for prompt in prompts:
            assert mine.tokenizer.decode(mine.tokenizer.encode(prompt).tolist()) == prompt


@pytest.mark.parametrize("to", TYPES)
def test_every_form_is_verified_in_the_program_it_is_for(to, write_ours, others):
    folder = write_ours(**others.shapes["Llama"])
    exported = export_model(folder, to, "f32", GenerateConfig())
    parity = verify(exported, LanguageModel.open(folder))
    assert parity.holds
    assert parity.engine == {"hf": "transformers", "onnx": "onnxruntime"}.get(to, "llama.cpp")
    assert (parity.same_text, parity.prompts, parity.chat) == (PROMPTS, PROMPTS, None)
