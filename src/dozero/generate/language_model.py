"""The language model as its user sees it: text in, text out, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from dozero.errors import DataError
from dozero.generate.engine import Step, decode
from dozero.generate.sample import restrict
from dozero.model.hf import read_model
from dozero.model.transformer import Transformer
from dozero.settings import GenerateConfig
from dozero.tokenizer.stream import IncrementalDecoder
from dozero.tokenizer.tokenizer import Tokenizer


@dataclass(frozen=True)
class Candidate:
    """A token that could have come next: its probability under the model, and after the sampling rules."""

    text: str
    probability: float
    after_rules: float
    is_end: bool = False


@dataclass(frozen=True)
class Choice:
    """Why a token came: the likeliest candidates, and the entropy of the whole distribution in bits."""

    chosen: Candidate
    candidates: list[Candidate]
    entropy_bits: float
    text: str
    """What this token adds to the text: none while a character is incomplete."""


@dataclass(frozen=True)
class LanguageModel:
    """A model and its tokenizer."""

    model: Transformer
    tokenizer: Tokenizer

    @classmethod
    def open(cls, folder: str | Path, dtype: torch.dtype = torch.float32) -> LanguageModel:
        """Return the language model of a model folder."""
        return cls(*read_model(Path(folder), dtype))

    def encode_prompt(self, prompt: str) -> list[int]:
        """Return what begins every text and the ids of the prompt; DataError when no room is left to continue it."""
        ids = self.tokenizer.begin(self.tokenizer.encode(prompt).tolist())
        longest = self.model.config.max_seq_len - 1
        if len(ids) > longest:
            raise DataError(
                "prompt is longer than the context", expected=f"{longest - 1} tokens or fewer", got=len(ids) - 1
            )
        return ids

    def stream(self, prompt: str = "", config: GenerateConfig | None = None, seed: int = 0) -> Iterator[str]:
        """Yield the continuation of the prompt piece by piece; no piece ends inside a character."""
        decoder = IncrementalDecoder(self.tokenizer.tokens)
        for step in decode(
            self.model, self.encode_prompt(prompt), config or GenerateConfig(), [seed], self.tokenizer.end_id
        ):
            piece = decoder.push(step.ids[0])
            if piece:
                yield piece
        rest = decoder.finish()
        if rest:
            yield rest

    def generate(self, prompt: str = "", config: GenerateConfig | None = None, seed: int = 0) -> str:
        """Return the prompt and its continuation."""
        return prompt + "".join(self.stream(prompt, config, seed))

    def generate_many(
        self, count: int, prompt: str = "", config: GenerateConfig | None = None, seed: int = 0
    ) -> list[str]:
        """Return `count` texts from one prompt, run side by side; text i is the one that seed + i gives alone."""
        ids = self.encode_prompt(prompt)
        seeds = range(seed, seed + count)
        steps = [step.ids for step in decode(self.model, ids, config or GenerateConfig(), seeds, self.tokenizer.end_id)]
        return [prompt + self.tokenizer.decode(row) for row in zip(*steps, strict=True)]

    def explain(
        self, prompt: str = "", config: GenerateConfig | None = None, seed: int = 0, top: int = 5
    ) -> Iterator[Choice]:
        """Yield for each token of a continuation what else could have come."""
        config, decoder = config or GenerateConfig(), IncrementalDecoder(self.tokenizer.tokens)
        for step in decode(self.model, self.encode_prompt(prompt), config, [seed], self.tokenizer.end_id):
            yield self._choice(step, config, top, decoder.push(step.ids[0]))

    def _choice(self, step: Step, config: GenerateConfig, top: int, text: str) -> Choice:
        probs = step.logits[0].softmax(dim=-1)
        if config.temperature == 0:
            kept = torch.zeros_like(probs)
            kept[step.ids[0]] = 1.0
        else:
            kept = restrict(step.logits, config)[0].softmax(dim=-1)

        def candidate(i: int) -> Candidate:
            return Candidate(self.tokenizer.show([i])[0], float(probs[i]), float(kept[i]), i == self.tokenizer.end_id)

        entropy = float(torch.special.entr(probs).sum() / torch.log(torch.tensor(2.0)))
        likeliest = probs.topk(min(top, len(probs))).indices.tolist()
        return Choice(candidate(step.ids[0]), [candidate(i) for i in likeliest], entropy, text)
