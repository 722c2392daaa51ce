"""Why a token came: what else could have, how likely it was, and which rule took it out."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from dozero.generate.batch import Token
from dozero.generate.sample import cut_by, restrict
from dozero.settings import GenerateConfig
from dozero.tokenizer.tokenizer import Tokenizer


@dataclass(frozen=True)
class Candidate:
    """A token that could have come next: its probability under the model, and after the sampling rules."""

    text: str
    probability: float | None
    """None where a form had to be closed and the model was not asked."""
    after_rules: float
    is_end: bool = False
    cut_by: str = ""
    """The rule that took it out: top_k, top_p, min_p, temperature (at 0 only the likeliest stays) or form; else nothing."""
    id: int = 0


@dataclass(frozen=True)
class Choice:
    """Why a token came: the likeliest candidates, and the entropy of the whole distribution in bits."""

    chosen: Candidate
    candidates: list[Candidate]
    entropy_bits: float
    text: str
    """What this token adds to the text: none while a character is incomplete."""
    cuts: dict[str, int]
    """How many tokens each rule took out."""


def explain_token(token: Token, tokenizer: Tokenizer, config: GenerateConfig, top: int, text: str) -> Choice:
    """Return why a token came, with its `top` likeliest rivals; `text` is what it adds."""
    if token.logits is None:
        return Choice(Candidate(tokenizer.show([token.id])[0], None, 1.0, id=token.id), [], 0.0, text, {})
    probs = token.logits.softmax(dim=-1)
    after, cut = _after_rules(token, config)

    def candidate(i: int) -> Candidate:
        name = tokenizer.show([i])[0]
        return Candidate(name, float(probs[i]), float(after[i]), i == tokenizer.end_id, cut.get(i, ""), i)

    entropy = float(torch.special.entr(probs).sum() / torch.log(torch.tensor(2.0)))
    likeliest = probs.topk(min(top, len(probs))).indices.tolist()
    cuts = {rule: list(cut.values()).count(rule) for rule in dict.fromkeys(cut.values())}
    return Choice(candidate(token.id), [candidate(i) for i in likeliest], entropy, text, cuts)


def _after_rules(token: Token, config: GenerateConfig) -> tuple[Float[Tensor, "V"], dict[int, str]]:
    """Return the probabilities that the draw was made by, and the rule that took out each token not in it."""
    assert token.adjusted is not None, "there are no logits of its own without those of the model"
    form = {int(i): "form" for i in (token.adjusted == -torch.inf).nonzero()}
    if config.temperature == 0:
        after = torch.zeros_like(token.adjusted)
        after[token.id] = 1.0
        others = {i: "temperature" for i in range(len(after)) if i != token.id}
        return after, others | form
    after = restrict(token.adjusted[None], config)[0].softmax(dim=-1)
    return after, cut_by(token.adjusted, config) | form
