"""Each candidate that a rule took out names the first rule that did, and what is left adds up."""

import pytest
import torch

from dozero.generate.batch import Request, Token
from dozero.generate.engine import admit, step
from dozero.generate.explain import explain_token
from dozero.generate.sample import restrict
from dozero.model.transformer import Transformer
from dozero.settings import GenerateConfig, ModelConfig
from dozero.tokenizer.tokenizer import train_char_tokenizer

TOKENIZER = train_char_tokenizer(["abcdefghij"])


def a_token(logits, adjusted=None):
    """A token of a row that a model wrote, its logits replaced."""
    logits = torch.tensor(logits)
    adjusted = logits if adjusted is None else torch.tensor(adjusted)
    size = TOKENIZER.vocab_size
    config = ModelConfig(d_model=8, n_layers=1, n_heads=1, n_kv_heads=1, head_dim=2, d_ff=8, max_seq_len=8)
    batch = admit(Transformer(config, size), [Request((0,), GenerateConfig(temperature=0))], 0)
    (token,) = step(batch)
    return Token(token.row, int(adjusted.argmax()), logits, adjusted, None)


LOGITS = [0.0, 5.0, 4.5, 4.0, 3.0, 2.0, 1.0, 0.5, -1.0, -2.0, -3.0]


@pytest.mark.parametrize(
    ("config", "rules"),
    [
        (GenerateConfig(top_k=3), {"top_k": 8}),
        (GenerateConfig(top_k=6, min_p=0.3), {"top_k": 5, "min_p": 3}),
        (GenerateConfig(temperature=0), {"temperature": 10}),
        (GenerateConfig(), {}),
    ],
    ids=str,
)
def test_the_rules_take_out_as_many_as_they_say(config, rules):
    choice = explain_token(a_token(LOGITS), TOKENIZER, config, 99, "b")
    assert choice.cuts == rules
    assert len(choice.candidates) == TOKENIZER.vocab_size
    for rule, count in rules.items():
        assert sum(c.cut_by == rule for c in choice.candidates) == count
    assert all((c.after_rules == 0) == bool(c.cut_by) for c in choice.candidates)
    assert sum(c.after_rules for c in choice.candidates) == pytest.approx(1, abs=1e-5)


def test_what_the_rules_take_out_is_what_the_draw_cannot_give():
    config = GenerateConfig(temperature=0.7, top_p=0.8, min_p=0.1)
    choice = explain_token(a_token(LOGITS), TOKENIZER, config, 99, "")
    left = restrict(torch.tensor([LOGITS]), config)[0] > -torch.inf
    assert {c.id for c in choice.candidates if not c.cut_by} == set(left.nonzero()[:, 0].tolist())


def test_a_token_that_a_form_forbids_says_so():
    adjusted = [-torch.inf if i % 2 else x for i, x in enumerate(LOGITS)]
    choice = explain_token(a_token(LOGITS, adjusted), TOKENIZER, GenerateConfig(), 99, "")
    assert {c.id for c in choice.candidates if c.cut_by == "form"} == {1, 3, 5, 7, 9}
    assert choice.chosen.id % 2 == 0


def test_a_token_that_only_closes_a_form_has_no_probability():
    token = a_token(LOGITS)
    choice = explain_token(Token(token.row, 3, None, None, "length"), TOKENIZER, GenerateConfig(), 5, "c")
    assert (choice.chosen.probability, choice.candidates, choice.text) == (None, [], "c")
