"""The language model as its user sees it: text in, text out, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from dozero.errors import ConfigError, DataError
from dozero.generate.batch import Constraint, Finish, Forward, Request, Token
from dozero.generate.engine import admit, step
from dozero.generate.explain import Choice, explain_token
from dozero.model.hf import read_model
from dozero.model.transformer import Transformer
from dozero.settings import GenerateConfig
from dozero.tokenizer.stream import IncrementalDecoder, StopFilter
from dozero.tokenizer.tokenizer import Tokenizer


@dataclass(frozen=True)
class TokenLogprob:
    """A token and the natural logarithm of its probability under the model, before any rule of sampling."""

    id: int
    text: str
    logprob: float | None
    """None where a form left no choice and the model was not asked."""
    top: list[tuple[int, str, float]] = field(default_factory=list)
    """The likeliest tokens at its place: id, text, logarithm of the probability."""


@dataclass(frozen=True)
class Piece:
    """What a token adds to one of several texts being written, and with the last why it ended."""

    index: int
    text: str
    """May be nothing: while a character is incomplete, or what came may be the beginning of a stop string."""
    token: Token
    finish: Finish | None


@dataclass(frozen=True)
class Completion:
    """A finished continuation of a prompt."""

    prompt: str
    text: str
    """The continuation alone."""
    seed: int
    finish: Finish
    """`stop` at the end mark or a stop string, `length` where max_tokens or the context was reached."""
    ids: list[int]
    """The tokens that were written, the end mark and those of a stop string among them."""
    logprobs: list[TokenLogprob]
    """One for each token, where they were asked for."""


@dataclass
class _Text:
    """A row's tokens on their way to text."""

    decoder: IncrementalDecoder
    stops: StopFilter

    def push(self, token: int, *, is_last: bool) -> str:
        text = self.stops.push(self.decoder.push(token))
        if is_last and not self.stops.stopped:
            text += self.stops.push(self.decoder.finish())
            text += "" if self.stops.stopped else self.stops.finish()
        return text


@dataclass(frozen=True)
class LanguageModel:
    """A model and its tokenizer."""

    model: Transformer
    tokenizer: Tokenizer
    decoder: Forward | None = None
    """A form of the model made for writing; without one, the model itself writes."""

    @classmethod
    def open(
        cls, folder: str | Path, dtype: torch.dtype = torch.float32, precision: str | None = None
    ) -> LanguageModel:
        """Return the language model of a model folder.

        `precision`, float32 or int8, asks for a form made for writing on a CPU (`native.py`): several times as fast.
        float32 does without where it cannot be made; int8 is then a ConfigError.
        """
        model, tokenizer = read_model(Path(folder), dtype)
        if precision is None:
            return cls(model, tokenizer)
        from dozero.generate.native import make_decoder

        decoder = make_decoder(model, precision)
        if decoder is None and precision != "float32":
            raise ConfigError(
                "needs a C compiler on this machine", where="precision", got=precision, next="install gcc or clang"
            )
        return cls(model, tokenizer, decoder)

    def encode_prompt(self, prompt: str) -> list[int]:
        """Return what begins every text and the ids of the prompt; DataError when no room is left to continue it."""
        ids = self.tokenizer.begin(self.tokenizer.encode(prompt).tolist())
        longest = self.model.config.max_seq_len - 1
        if len(ids) > longest:
            raise DataError(
                "prompt is longer than the context", expected=f"{longest - 1} tokens or fewer", got=len(ids) - 1
            )
        return ids

    def request(self, prompt: str, config: GenerateConfig, seed: int, constraint: Constraint | None = None) -> Request:
        """Return what the engine is asked for; DataError for a prompt or a bias that the model has no tokens for."""
        for token in config.biases:
            if token >= self.tokenizer.vocab_size:
                last = f"ids of tokens, 0 to {self.tokenizer.vocab_size - 1}"
                raise DataError("logit_bias names no token of this model", expected=last, got=token)
        return Request(tuple(self.encode_prompt(prompt)), config, seed, constraint)

    def write(self, requests: Sequence[Request]) -> Iterator[Piece]:
        """Yield what each token adds to its text, in the order in which they come; the texts are written side by side.

        `Piece.index` is the place of the request. A text is the same alone as beside others.
        """
        batch = admit(self.decoder or self.model, requests, self.tokenizer.end_id)
        texts = [_Text(IncrementalDecoder(self.tokenizer.tokens), StopFilter(r.config.stop)) for r in requests]
        place = {id(row): i for i, row in enumerate(batch.rows)}
        while not all(row.finish for row in batch.rows):
            for token in step(batch):
                index, text = place[id(token.row)], texts[place[id(token.row)]]
                if text.stops.stopped:  # guessed tokens that came after the stop string
                    continue
                piece = text.push(token.id, is_last=token.finish is not None)
                finish: Finish | None = token.finish
                if text.stops.stopped:
                    finish = token.row.finish = "stop"
                yield Piece(index, piece, token, finish)

    def complete(self, requests: Sequence[Request], prompts: Sequence[str], top: int | None = None) -> list[Completion]:
        """Return the finished texts in the order of the requests, with the logarithms of `top` tokens if that is a number."""
        texts, finish = [""] * len(requests), ["length"] * len(requests)
        ids: list[list[int]] = [[] for _ in requests]
        logprobs: list[list[TokenLogprob]] = [[] for _ in requests]
        for piece in self.write(requests):
            texts[piece.index] += piece.text
            ids[piece.index].append(piece.token.id)
            finish[piece.index] = piece.finish or "length"
            if top is not None:
                logprobs[piece.index].append(self.logprob_of(piece.token, top))
        columns = zip(prompts, texts, (r.seed for r in requests), finish, ids, logprobs, strict=True)
        return [Completion(*column) for column in columns]

    def logprob_of(self, token: Token, top: int) -> TokenLogprob:
        """Return the logarithm of a token's probability, and the `top` likeliest at its place."""
        name = self.tokenizer.show([token.id])[0]
        if token.logits is None:
            return TokenLogprob(token.id, name, None)
        logs = token.logits.log_softmax(dim=-1)
        values, ids = logs.topk(min(top, len(logs)))
        names = self.tokenizer.show(ids.tolist())
        return TokenLogprob(
            token.id, name, float(logs[token.id]), list(zip(ids.tolist(), names, values.tolist(), strict=True))
        )

    def stream(self, prompt: str = "", config: GenerateConfig | None = None, seed: int = 0) -> Iterator[str]:
        """Yield the continuation of the prompt piece by piece; no piece ends inside a character or a stop string."""
        for piece in self.write([self.request(prompt, config or GenerateConfig(), seed)]):
            if piece.text:
                yield piece.text

    def generate(self, prompt: str = "", config: GenerateConfig | None = None, seed: int = 0) -> str:
        """Return the prompt and its continuation."""
        return prompt + "".join(self.stream(prompt, config, seed))

    def generate_many(
        self, count: int, prompt: str = "", config: GenerateConfig | None = None, seed: int = 0
    ) -> list[str]:
        """Return `count` texts from one prompt, run side by side; text i is the one that seed + i gives alone."""
        config = config or GenerateConfig()
        requests = [self.request(prompt, config, seed + i) for i in range(count)]
        return [prompt + done.text for done in self.complete(requests, [prompt] * count)]

    def explain(
        self,
        prompt: str = "",
        config: GenerateConfig | None = None,
        seed: int = 0,
        top: int = 5,
        constraint: Constraint | None = None,
    ) -> Iterator[Choice]:
        """Yield for each token of a continuation what else could have come."""
        config = config or GenerateConfig()
        for piece in self.write([self.request(prompt, config, seed, constraint)]):
            yield explain_token(piece.token, self.tokenizer, config, top, piece.text)
