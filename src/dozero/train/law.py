"""What a run will reach before it is made: a small scaling law, fitted to runs of minutes (benchmarks/fit_law.py).

Held-out bits per byte of a model of N parameters trained on D tokens, its learning rate brought down to zero:

    hardness * (floor + size / N^alpha + data / D^beta) * (1 + overfit (N / U)^crowding R^repeating)

N and D in millions. The sum is that of Hoffmann et al. 2022; the factor tells what it costs to see U different tokens
again: R more times, D = U (1 + R). It grows with the model, until more training makes it worse. (Muennighoff et al. 2023
have tokens seen again count for less and less, which never turns; small models on small texts do.) The constants stand in
law.toml, one set for each kind of text; hardness is 1 on the text that they were fitted to, and on another the ratio of
what counting trigrams reaches on the two.
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources

from dozero.dataset.shards import Dataset
from dozero.eval.ngram import counted_bits_per_byte
from dozero.model.cost import model_cost
from dozero.settings import ModelConfig, RunConfig

MILLION = 1e6
SAME_TEXT = 0.02  # a text of the same hardness is taken for the same kind
RANGE = 3.0
MOST_EPOCHS = 20
"""Trials that saw their text more often are no part of the law: it takes them for as bad as these."""


@dataclass(frozen=True)
class Law:
    """The constants of one kind of text, and what they were fitted on."""

    kind: str
    fitted_on: str
    floor: float
    """What no size and no amount of text of this kind would get below, in bits per byte."""
    size: float
    alpha: float
    data: float
    beta: float
    overfit: float
    crowding: float
    repeating: float
    counted_order: int
    counted_bits: float
    """Bits per byte that counting groups of counted_order tokens reaches on the text fitted on."""
    least_flops: float
    most_flops: float
    """The operations of the trials fitted on, from and to."""
    trials: int
    error: float
    """Largest error among the trials, as a share."""
    error_elsewhere: float
    """Largest error on texts that it was not fitted on."""
    batch_tokens: int
    muon_lr: float
    adam_lr: float
    momentum: float


@cache
def list_laws() -> tuple[Law, ...]:
    """Return the laws of all kinds of text."""
    tables = tomllib.loads(resources.files("dozero.train").joinpath("law.toml").read_text(encoding="utf-8"))
    shared = tables.pop("shared")
    return tuple(Law(kind=kind, **shared, **table) for kind, table in tables.items())


def find_law(config: RunConfig) -> Law:
    """Return the law of the kind of text nearest to that of these settings.

    >>> find_law(RunConfig()).kind
    'words'
    """
    kind = config.data.kind
    if kind == "text":
        kind = "characters" if config.tokenizer.kind == "char" else "text"
    return next(law for law in list_laws() if law.kind == kind)


def measure_hardness(law: Law, dataset: Dataset) -> float:
    """Return how much harder a text is than the one that the law was fitted to, by counting; a second or two."""
    counted = counted_bits_per_byte(dataset.train, dataset.heldout, dataset.vocab_size, law.counted_order)
    return counted / law.counted_bits


def count_size(model: ModelConfig, vocab_size: int) -> int:
    """Return N: the parameters that each token is multiplied by, so that a tied or an untied head counts alike."""
    return model_cost(model, vocab_size).block_params + model.d_model * vocab_size


def foretell(law: Law, hardness: float, size: float, tokens: float, unique_tokens: float = math.inf) -> float:
    """Return the held-out bits per byte of a model of `size` after training on `tokens`, learning rate down to zero.

    >>> law = list_laws()[0]
    >>> foretell(law, 1.0, 1e6, 1e6) == foretell(law, 1.0, 1e6, 1e6, 1e6) < foretell(law, 1.0, 1e6, 1e6, 1e5)
    True
    """
    loss = law.floor + law.size / (size / MILLION) ** law.alpha + law.data / (tokens / MILLION) ** law.beta
    again = min(max(0.0, tokens / unique_tokens - 1), MOST_EPOCHS)
    return hardness * loss * (1 + law.overfit * (size / unique_tokens) ** law.crowding * again**law.repeating)


def useful_tokens(law: Law, size: float, unique_tokens: float) -> float:
    """Return after how many tokens more of the same text would make a model of `size` worse.

    >>> useful_tokens(list_laws()[0], 1e6, 1e6) > 1e6
    True
    """
    epochs = [1 + n / 20 for n in range(20 * MOST_EPOCHS)]
    best = min(epochs, key=lambda n: foretell(law, 1.0, size, n * unique_tokens, unique_tokens))
    return best * unique_tokens


def is_elsewhere(law: Law, hardness: float, flops: float) -> bool:
    """Return whether a run is of another text, or of another length, than the law was fitted to."""
    is_other_text = abs(math.log(hardness)) > SAME_TEXT
    return is_other_text or not law.least_flops / RANGE <= flops <= law.most_flops * RANGE
