"""Text that a model never saw: how surprised it is, how often right, how well calibrated, document by document."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from dozero.eval.bootstrap import Statistic, interval_of, ratio
from dozero.eval.calibration import BINS, calibration_error, count_bins, read_bins
from dozero.eval.measure import Measure, Outcome
from dozero.eval.score import Predicted, Window, predict, windows_of
from dozero.eval.task import Task
from dozero.generate.language_model import LanguageModel
from dozero.tokenizer.tokenizer import Tokenizer

DOCUMENTS_AT_ONCE = 256


@dataclass(frozen=True)
class Reading:
    """What a model made of some documents; each field has one entry a document."""

    nats: NDArray[np.float64]
    """Surprise at the tokens of the text."""
    end_nats: NDArray[np.float64]
    """Surprise at its end."""
    tokens: NDArray[np.float64]
    """Tokens of the text, the end not among them."""
    bytes: NDArray[np.float64]
    correct: NDArray[np.float64]
    """Tokens, the end among them, that were the likeliest at their place."""
    tables: NDArray[np.float64]
    """Predictions by confidence, as `calibration.count_bins` counts them."""

    @property
    def bits_per_byte(self) -> Statistic:
        """Bits per byte of text, the ends of documents left out: what lm-eval calls bits_per_byte."""
        return ratio(self.nats / math.log(2), self.bytes)


def read_documents(model: LanguageModel, texts: Sequence[str]) -> Reading:
    """Return what a model makes of each text, read from a fresh start."""
    rows: list[tuple[float, float, int, int]] = []
    tables: list[NDArray[np.float64]] = []
    for begin in range(0, len(texts), DOCUMENTS_AT_ONCE):
        portion = texts[begin : begin + DOCUMENTS_AT_ONCE]
        encoded = [ids.tolist() for ids in model.tokenizer.encode_many(portion)]
        per_text = [_windows(model.tokenizer, ids, model.model.config.max_seq_len) for ids in encoded]
        predicted = iter(predict(model.model, [window for windows in per_text for window in windows]))
        for windows in per_text:
            found = [next(predicted) for _ in windows]
            rows.append(_sum(found))
            tables.append(sum((count_bins(p.confidence, p.correct) for p in found), np.zeros((BINS, 3))))
    nats, end_nats, tokens, correct = (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))
    sizes = np.array([len(text.encode()) for text in texts], dtype=np.float64)
    return Reading(nats, end_nats, tokens, sizes, correct, np.stack(tables))


def _windows(tokenizer: Tokenizer, ids: list[int], longest: int) -> list[Window]:
    """Return the windows of a document and its end; in all of them together the end is the last target."""
    tokens, end = tuple(tokenizer.begin(ids)), tokenizer.end_id
    if len(tokens) <= longest:
        return [Window(tokens, (*tokens[1:], end))]
    return [*windows_of(tokens, longest), Window(tokens[-longest:], (end,))]


def _sum(found: Sequence[Predicted]) -> tuple[float, float, int, int]:
    """Return nats of the text, nats of the end, tokens of the text and right predictions of a document."""
    total, last = -sum(p.logprobs.sum() for p in found), -found[-1].logprobs[-1]
    tokens = sum(len(p.logprobs) for p in found) - 1
    return float(total - last), float(last), tokens, int(sum(p.correct.sum() for p in found))


def mark_text(model: LanguageModel, task: Task) -> Outcome:
    """Return bits per byte, perplexity, next-token accuracy and calibration on the texts of a task."""
    texts = [item[task.config.text] for item in task.items]
    reading = read_documents(model, texts)
    items, bits = len(texts), reading.bits_per_byte
    uniform = math.log2(model.tokenizer.vocab_size) * reading.tokens.sum() / max(1.0, reading.bytes.sum())
    all_nats, all_tokens = reading.nats + reading.end_nats, reading.tokens + 1
    with_ends = ratio(all_nats / math.log(2), reading.bytes)
    per_token, accuracy = ratio(all_nats, all_tokens), ratio(reading.correct, all_tokens)
    measures = (
        Measure("bits_per_byte", interval_of(bits, items), float(uniform), more_is_better=False),
        Measure("bits_per_byte_with_ends", interval_of(with_ends, items), more_is_better=False),
        Measure("perplexity", interval_of(lambda counts: np.exp(per_token(counts)), items), more_is_better=False),
        Measure("next_token_accuracy", interval_of(accuracy, items)),
        Measure("calibration_error", interval_of(calibration_error(reading.tables), items), more_is_better=False),
    )
    told = zip(task.items, reading.nats, reading.end_nats, reading.tokens, reading.bytes, reading.correct, strict=True)
    rows = tuple(
        {
            "where": i["where"],
            "nats": float(n),
            "end_nats": float(e),
            "tokens": int(t),
            "bytes": int(b),
            "correct": int(c),
        }
        for i, n, e, t, b, c in told
    )
    bins = [asdict(b) for b in read_bins(reading.tables.sum(axis=0))]
    sizes = {"bytes": int(reading.bytes.sum()), "tokens": int(reading.tokens.sum())}
    return Outcome(measures, rows, bits, {**sizes, "bins": bins})
