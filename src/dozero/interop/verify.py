"""Whether another program computes from an export what we compute: logits, greedy text, ids of text, chats."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch

from dozero.generate.language_model import LanguageModel
from dozero.interop.engines import Engine, LlamaCppEngine, Logits, OnnxEngine, Ours, TransformersEngine
from dozero.interop.export import Exported
from dozero.settings import GenerateConfig
from dozero.tokenizer.tokenizer import Tokenizer

PROMPTS, TOKENS = 20, 32
CHAT = (
    {"role": "user", "content": "Olá! 1 + 1?"},
    {"role": "assistant", "content": "São 2."},
    {"role": "user", "content": "E em código?\n\n  x = {{ 1 }} < 2"},
)
_FAINTEST = -60.0  # logarithm of a probability below which fp32, by which llama.cpp goes, has no digits left
# In fp32 the largest difference that rounding explains; in smaller formats the difference is that of the format.
BARS = {"llama.cpp": 1e-2, "transformers": 1e-4, "onnxruntime": 1e-4}


@dataclass(frozen=True)
class Parity:
    """How far another program's model is from ours."""

    engine: str
    type: str
    largest_logit_difference: float
    bar: float | None
    """What it may be in fp32; None in a smaller number format, where it is that of the format."""
    prompts: int
    same_text: int
    """Prompts that both continue by the same tokens."""
    tokens: int
    same_tokens: int
    """Tokens before the first that differs."""
    same_ids: int
    """Prompts that both cut into the same tokens."""
    chat: tuple[str, str] | None
    """A chat as ours and theirs render it; None without a template."""

    @property
    def holds(self) -> bool:
        """Whether the same model was opened: in fp32 the same logits, and in any format the same ids and chat."""
        is_near = self.bar is None or self.largest_logit_difference <= self.bar
        return is_near and self.same_ids == self.prompts and (self.chat is None or self.chat[0] == self.chat[1])


def open_engine(exported: Exported, model: LanguageModel) -> AbstractContextManager[Engine]:
    """Return the program that an export is for, with the export opened in it."""
    if exported.to == "hf":
        return TransformersEngine.open(exported.folder)
    if exported.to == "onnx":
        return OnnxEngine.open(exported.file)
    context = min(model.model.config.max_seq_len, 1024)
    (file,) = exported.folder.glob("*.gguf")
    return LlamaCppEngine.open(file, model.tokenizer, context)


def verify(exported: Exported, model: LanguageModel, prompts: int = PROMPTS) -> Parity:
    """Return how far the program that an export is for is from our own model."""
    with open_engine(exported, model) as theirs:
        return compare(theirs, model, make_prompts(model, prompts), exported.type)


def make_prompts(model: LanguageModel, count: int) -> list[str]:
    """Return beginnings of texts such as the model writes: each by its own seed, the first half of what it wrote."""
    texts = model.generate_many(count, "", GenerateConfig(temperature=1.0, max_tokens=TOKENS))
    known = {*model.tokenizer.alphabet} if model.tokenizer.merges is None else None
    whole = ("".join(itertools.takewhile(lambda c: _is_text(c, known), text)) for text in texts)
    # The tokens of a SentencePiece text begin with a space that it did not have; programs differ in whether one that is
    # there counts for it, as transformers has it, or comes on top.
    return [text[: (len(text) + 1) // 2].removeprefix(" ") for text in whole]


def _is_text(character: str, known: AbstractSet[str] | None) -> bool:
    """Return whether a tokenizer takes a character: bytes that a model puts together freely may be none, or an unknown one."""
    return character != "\N{REPLACEMENT CHARACTER}" and (known is None or character in known)


def compare(theirs: Engine, model: LanguageModel, prompts: Sequence[str], kind: str) -> Parity:
    """Return how far another program is from ours on the prompts and on what we write after them."""
    ours, tokenizer = Ours(model.model, model.tokenizer), model.tokenizer
    largest, same_text, tokens, same_tokens, same_ids = 0.0, 0, 0, 0, 0
    for prompt in prompts:
        inside = ours.encode(prompt)
        same_ids += theirs.encode(prompt) == inside
        ids = tokenizer.begin(inside)
        room = min(TOKENS, model.model.config.max_seq_len - len(ids) - 1)
        mine = _to_first_special(ours.continue_greedily(ids, room), tokenizer)
        other = _to_first_special(theirs.continue_greedily(ids, room), tokenizer)
        same_text += mine == other
        tokens += len(mine)
        same_tokens += next((i for i, (a, b) in enumerate(zip(mine, other, strict=False)) if a != b), min(len(mine), len(other)))  # fmt: skip
        for given in (ids, ids + mine):
            largest = max(largest, _difference(ours.logits(given), theirs.logits(given), theirs.gives_logarithms))
    chat = None
    if tokenizer.chat_template:
        chat = (_without_begin(ours.chat(CHAT), tokenizer), _without_begin(theirs.chat(CHAT), tokenizer))
    bar = BARS[theirs.name] if kind == "f32" else None
    return Parity(theirs.name, kind, largest, bar, len(prompts), same_text, tokens, same_tokens, same_ids, chat)


def _without_begin(text: str, tokenizer: Tokenizer) -> str:
    """Return a chat without the token that begins every text: llama.cpp leaves it off, to put it there itself."""
    for token in tokenizer.begin_ids:
        text = text.removeprefix(tokenizer.special_names.get(token, ""))
    return text


def _to_first_special(ids: Sequence[int], tokenizer: Tokenizer) -> list[int]:
    """Return the ids before the first special one: programs differ in which of them they stop at."""
    specials = {*tokenizer.special_ids}
    return [*ids[: next((i for i, token in enumerate(ids) if token in specials), len(ids))]]


def _difference(ours: Logits, theirs: Logits, are_logarithms: bool) -> float:
    """Return the largest difference of two rows of logits."""
    if are_logarithms:
        ours = ours.log_softmax(dim=-1)
        told = ours > _FAINTEST
        ours, theirs = ours[told], theirs[told]
    return float((ours - theirs).abs().max()) if torch.isfinite(theirs).all() else float("inf")
