"""Likelihood: how probable a model finds some tokens after some others, many pairs at a time.

Texts are cut into tokens as lm-evaluation-harness cuts them, so that the scores are those it gives on the same folder.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from dozero.errors import DataError
from dozero.generate.language_model import LanguageModel
from dozero.model.transformer import Transformer
from dozero.tokenizer.tokenizer import Tokenizer

TOKENS_AT_ONCE = 8192
LOGITS_AT_ONCE = 2**26
"""Bounds the memory of a pass over a large vocabulary."""


@dataclass(frozen=True)
class Pair:
    """Tokens to score after those of a context. The context is never empty: it begins a document."""

    context: tuple[int, ...]
    continuation: tuple[int, ...]


@dataclass(frozen=True)
class Score:
    """What a model says of a continuation."""

    logprob: float
    """Log-probability of all its tokens, in nats."""
    tokens: int
    is_greedy: bool
    """Whether each of its tokens is the likeliest one at its place."""
    bytes: int
    """Bytes of its text in UTF-8."""

    @property
    def per_byte(self) -> float:
        """Log-probability per byte: what compares continuations of different lengths."""
        return self.logprob / max(1, self.bytes)


@dataclass(frozen=True)
class Window:
    """Tokens to predict in one pass, with those before them: `targets` are the last ones of inputs shifted by one."""

    inputs: tuple[int, ...]
    targets: tuple[int, ...]


@dataclass(frozen=True)
class Predicted:
    """What a model says of each target of a window."""

    logprobs: NDArray[np.float64]
    correct: NDArray[np.bool_]
    """Whether the target is the likeliest token."""
    confidence: NDArray[np.float64]
    """Probability of the likeliest token."""


def pair_of(tokenizer: Tokenizer, context: str, continuation: str) -> Pair:
    """Return the tokens of a continuation in its context, cut as in one text.

    Spaces at the end of the context belong to the continuation, as tokens begin with their space.
    """
    if not continuation:
        raise DataError("nothing to score: an answer is empty", got=repr(context[-60:]))
    kept = context.rstrip()
    continuation = context[len(kept) :] + continuation
    whole = tokenizer.encode(kept + continuation).tolist()
    before = len(tokenizer.encode(kept))
    return Pair(tuple(tokenizer.begin(whole[:before])), tuple(whole[before:]))


def score_texts(model: LanguageModel, texts: Sequence[tuple[str, str]]) -> list[Score]:
    """Return the score of each continuation after its context."""
    pairs = [pair_of(model.tokenizer, context, continuation) for context, continuation in texts]
    sizes = [len(continuation.encode()) for _, continuation in texts]
    windows = [window_of(pair, model.model.config.max_seq_len) for pair in pairs]
    predicted = predict(model.model, windows)
    return [
        Score(float(p.logprobs.sum()), len(p.logprobs), bool(p.correct.all()), size)
        for p, size in zip(predicted, sizes, strict=True)
    ]


def window_of(pair: Pair, longest: int) -> Window:
    """Return the window that scores a pair; of a context that is too long only the end is kept.

    >>> window_of(Pair((0, 7, 8), (9,)), longest=2)
    Window(inputs=(7, 8), targets=(9,))
    """
    tokens = (*pair.context, *pair.continuation)
    inputs = tokens[:-1][-longest:]
    return Window(inputs, pair.continuation[-len(inputs) :])


def windows_of(tokens: Sequence[int], longest: int) -> list[Window]:
    """Return windows in which each token of a document but the first is predicted once, from its beginning on.

    The last one reaches back, so that its tokens have as much before them as fits (lm-eval's rolling windows).

    >>> [w.targets for w in windows_of([0, 5, 6, 7], longest=2)], windows_of([0, 5, 6, 7], longest=2)[1].inputs
    ([(5, 6), (7,)], (5, 6))
    """
    windows = []
    for begin in range(1, len(tokens), longest):
        end = min(begin + longest, len(tokens))
        windows.append(Window(tuple(tokens[max(0, end - 1 - longest) : end - 1]), tuple(tokens[begin:end])))
    return windows


def predict(model: Transformer, windows: Sequence[Window]) -> list[Predicted]:
    """Return what the model says of the targets of each window; windows of like length share a pass."""
    found: list[Predicted | None] = [None] * len(windows)
    tokens_at_once = max(1, min(TOKENS_AT_ONCE, LOGITS_AT_ONCE // model.vocab_size))
    for chosen in _batches([len(window.inputs) for window in windows], tokens_at_once):
        for i, predicted in zip(chosen, _predict_batch(model, [windows[i] for i in chosen]), strict=True):
            found[i] = predicted
    return [p for p in found if p is not None]


def _batches(lengths: Sequence[int], tokens_at_once: int) -> Iterator[list[int]]:
    """Yield the indices of windows, the longest first, so many that their tokens fit one pass."""
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    while order:
        count = max(1, tokens_at_once // max(1, lengths[order[0]]))
        yield order[:count]
        order = order[count:]


def _predict_batch(model: Transformer, windows: Sequence[Window]) -> Iterator[Predicted]:
    """Yield the predictions of windows run side by side; what fills the shorter ones comes after them and is not seen."""
    longest = max(len(window.inputs) for window in windows)
    rows = [[*window.inputs, *[0] * (longest - len(window.inputs))] for window in windows]
    device = model.lm_head.weight.device
    with torch.no_grad():
        logits = model(torch.tensor(rows, device=device)).float()
    for row, window in zip(logits, windows, strict=True):
        end, count = len(window.inputs), len(window.targets)
        logprobs = F.log_softmax(row[end - count : end], dim=-1)
        targets = torch.tensor(window.targets, device=device)
        best, likeliest = logprobs.max(dim=-1)
        own = logprobs.gather(1, targets[:, None])[:, 0]
        yield Predicted(
            own.double().cpu().numpy(), (likeliest == targets).cpu().numpy(), best.double().exp().cpu().numpy()
        )


def perplexity(nats: float, tokens: float) -> float:
    """Return e to the mean surprise at a token."""
    return math.exp(min(700.0, nats / max(1.0, tokens)))
