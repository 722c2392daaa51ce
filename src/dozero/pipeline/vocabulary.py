"""`--vocab-size auto`: which vocabulary predicts the text best when each may train for the same time.

A larger vocabulary says more in a token, so each step sees more text; but each step takes longer, and each token is
seen less often. What that comes to depends on text, model and machine, so it is tried: the same small model learns
with each size for the same seconds, and is judged by the bits it needs for a byte of held-out text, the one measure
that does not depend on how text is cut.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dozero.corpus.store import Corpus
from dozero.dataset.batch import batch_of_step
from dozero.dataset.rows import Rows, pack_rows
from dozero.dataset.split import is_heldout
from dozero.dataset.stream import TokenStream, encode_documents
from dozero.device import Device
from dozero.errors import DataError
from dozero.eval.likelihood import measure_surprise
from dozero.model.transformer import Transformer
from dozero.settings import RunConfig
from dozero.tokenizer.build import take_sample
from dozero.tokenizer.tokenizer import train_bpe_tokenizer
from dozero.train.learner import build_model
from dozero.train.optim import Optimizer, build_optimizer
from dozero.train.step import Schedule, train_step

SIZES = (512, 1024, 2048, 4096, 8192)
SECONDS_EACH = 7.0
SAMPLE_BYTES = 8_000_000
HELDOUT_BYTES = 100_000
HELDOUT_PERCENT = 10.0
BYTES_PER_TOKEN = 300  # of text for each token of a vocabulary: with less, its rare tokens are hardly ever seen
# Four seeds of a trial of 150 steps on the LibreOffice help spread over 1.1% (2,048 tokens) and 2.1% (1,024): a larger
# vocabulary must be better by more than chance.
NOISE = 0.015
LEAST_STEPS, TIMED_STEPS = 50, 8
# Small enough for hundreds of steps in a few seconds; a model that is smaller yet is tried as it is.
TRIAL_MODEL = {"d_model": 128, "n_layers": 2, "n_heads": 4, "n_kv_heads": 4, "head_dim": 32, "d_ff": 384}
TRIAL_LENGTH, TRIAL_BATCH_TOKENS = 128, 2048


@dataclass(frozen=True)
class SizeTried:
    """What a model with a vocabulary of this size reached in the time."""

    vocab_size: int
    bits_per_byte: float
    steps: int
    text_bytes: int
    """Bytes of text it saw while training."""
    seconds: float


@dataclass(frozen=True)
class SizeChosen:
    """The size to take: the smallest that needs no more bits than the best one, within the noise."""

    vocab_size: int
    tried: tuple[SizeTried, ...]


@dataclass(frozen=True)
class _Trial:
    """The text in the tokens of one vocabulary."""

    vocab_size: int
    train: TokenStream
    heldout: TokenStream
    rows: Rows


def choose_vocab_size(
    corpus: Corpus,
    config: RunConfig,
    device: Device,
    seconds_each: float = SECONDS_EACH,
    sizes: Sequence[int] = SIZES,
) -> Iterator[SizeTried | SizeChosen]:
    """Try the sizes that the corpus is large enough for, yielding each as it is done, then the choice.

    All get `seconds_each`, or on a slow machine as long as the slowest takes for LEAST_STEPS.
    """
    config = _trial_config(config)
    trials = _prepare_trials(corpus, config, sizes)
    step_s = _measure_steps(trials, config, device)
    seconds = max(seconds_each, LEAST_STEPS * max(step_s))
    tried: list[SizeTried] = []
    for i, trial in enumerate(trials):
        tried.append(_try_size(trial, config, device, round(seconds / step_s[i])))
        yield tried[-1]
    yield SizeChosen(pick_size(tried), tuple(tried))


def pick_size(tried: Sequence[SizeTried]) -> int:
    """Return the smallest size whose bits are within the noise of the fewest.

    >>> pick_size([SizeTried(size, bits, 1, 1, 1.0) for size, bits in ((512, 2.4), (1024, 2.21), (2048, 2.2))])
    1024
    """
    fewest = min(trial.bits_per_byte for trial in tried)
    return min(trial.vocab_size for trial in tried if trial.bits_per_byte <= fewest * (1 + NOISE))


def _prepare_trials(corpus: Corpus, config: RunConfig, sizes: Sequence[int]) -> list[_Trial]:
    """Return a trial for each size that the corpus can fill, or for the smallest alone."""
    parts: dict[bool, list[str]] = {True: [], False: []}
    for text in take_sample(corpus, SAMPLE_BYTES).texts():
        parts[is_heldout(text, HELDOUT_PERCENT)].append(text)
    if not (parts[True] and parts[False]):
        raise DataError("too few documents to try vocabularies on", where=corpus.path, next="--vocab-size 1024")
    heldout = _cut_off(parts[True])
    text_bytes = sum(len(text.encode()) for text in parts[False])
    trials: list[_Trial] = []
    for size in sorted(sizes):
        if trials and size * BYTES_PER_TOKEN > text_bytes:
            break
        tokenizer = train_bpe_tokenizer(parts[False], size)
        if trials and tokenizer.vocab_size < size:
            break  # the text has no more pairs to give
        train = encode_documents(parts[False], tokenizer)
        rows = pack_rows(train, config.model.max_seq_len)
        trials.append(_Trial(tokenizer.vocab_size, train, encode_documents(heldout, tokenizer), rows))
    return trials


def _measure_steps(trials: Sequence[_Trial], config: RunConfig, device: Device) -> list[float]:
    """Return the seconds of a step of each trial: its fastest, taken in turns, so that a busy moment favours none."""
    learners = [_new_learner(trial, config, device) for trial in trials]
    fastest = [math.inf] * len(trials)
    for step in range(TIMED_STEPS):
        for i, (trial, (model, optimizer)) in enumerate(zip(trials, learners, strict=True)):
            began = time.perf_counter()
            batch = batch_of_step(trial.rows, config.rows_per_step, config.seed, step)
            train_step(model, optimizer, batch.to(model.lm_head.weight.device), step, Schedule(TIMED_STEPS))
            fastest[i] = min(fastest[i], time.perf_counter() - began)
    return fastest


def _new_learner(trial: _Trial, config: RunConfig, device: Device) -> tuple[Transformer, Optimizer]:
    model = build_model(config, trial.vocab_size, device)
    return model, build_optimizer(model, config.optim, device.dtype)


def _try_size(trial: _Trial, config: RunConfig, device: Device, steps: int) -> SizeTried:
    """Train for so many steps and score the held-out text."""
    began, schedule, tokens = time.perf_counter(), Schedule(steps), 0
    model, optimizer = _new_learner(trial, config, device)
    for step in range(steps):
        batch = batch_of_step(trial.rows, config.rows_per_step, config.seed, step)
        train_step(model, optimizer, batch.to(model.lm_head.weight.device), step, schedule)
        tokens += batch.target_tokens
    took = time.perf_counter() - began
    bits = measure_surprise(model, trial.heldout).bits_per_byte
    seen = round(tokens * trial.train.bytes / trial.train.tokens)
    return SizeTried(trial.vocab_size, bits, steps, seen, round(took, 2))


def _trial_config(config: RunConfig) -> RunConfig:
    """Return the settings with a model and batch small enough to learn something in seconds."""
    model, train = config.model, config.train
    if model.d_model * model.n_layers > TRIAL_MODEL["d_model"] * TRIAL_MODEL["n_layers"]:
        model = model.model_copy(update=TRIAL_MODEL)
    model = model.model_copy(update={"max_seq_len": min(TRIAL_LENGTH, model.max_seq_len)})
    train = train.model_copy(update={"batch_tokens": min(TRIAL_BATCH_TOKENS, train.batch_tokens)})
    return config.model_copy(update={"model": model, "train": train})


def _cut_off(texts: list[str]) -> list[str]:
    """Return the first of the texts, up to HELDOUT_BYTES."""
    chosen, left = [], HELDOUT_BYTES
    for text in texts:
        if left <= 0:
            break
        chosen.append(text[:left])
        left -= len(text.encode())
    return chosen
