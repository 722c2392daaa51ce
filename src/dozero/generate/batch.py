"""Texts being written side by side, as plain data: what is wanted, how far each has come, what runs them.

`engine.py` moves them on.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from jaxtyping import Bool, Float, Int
from torch import Tensor

from dozero.settings import GenerateConfig

Finish = Literal["stop", "length"]
"""Why a text ended: by its end mark or a stop string, or because there was no more room."""


@runtime_checkable
class Forward(Protocol):
    """What turns tokens into logits, with a cache of its own kind: the model, or a form of it made for decoding."""

    @property
    def is_ragged(self) -> bool:
        """Whether rows of one cache may differ in length."""
        ...

    @property
    def positions(self) -> int:
        """Longest context."""
        ...

    def prefill(self, ids: Int[Tensor, "B T"], positions: int) -> tuple[Any, Float[Tensor, "B V"]]:
        """Return a cache with room for so many positions that holds the ids, and the logits of what comes next."""
        ...

    def advance(self, ids: Int[Tensor, "B T"], cache: Any) -> Float[Tensor, "B T V"]:
        """Add T tokens to each row of the cache and return the logits after each."""
        ...

    def spread(self, caches: Sequence[Any], rows: Sequence[tuple[int, int]]) -> Any:
        """Return a cache of the rows named by (cache, row in it); of several lengths only where it is ragged."""
        ...

    def forget(self, cache: Any, tokens: int) -> None:
        """Take the last so many tokens out of the cache again."""
        ...


@runtime_checkable
class Constraint(Protocol):
    """A form that the text must have; it follows the text token by token."""

    def allowed(self) -> Bool[Tensor, "V"]:
        """Return which tokens may come next, the end among them once the text is whole."""
        ...

    def accept(self, token: int) -> None:
        """Take note of the token that came."""
        ...

    def close(self) -> list[int]:
        """Return tokens that complete the text as it stands, in few."""
        ...


@dataclass(frozen=True)
class Request:
    """A text that is wanted: what it begins with, how it is drawn, and what form it must have."""

    prompt: tuple[int, ...]
    config: GenerateConfig = field(default_factory=GenerateConfig)
    seed: int = 0
    constraint: Constraint | None = None


@dataclass
class Row:
    """A text being written; its tokens follow from its own request alone, never from its neighbours."""

    request: Request
    room: int
    draws: random.Random
    ids: list[int] = field(default_factory=list)
    counts: Int[Tensor, "V"] | None = None
    """How often each token was written, and which the prompt holds: kept only where the settings ask."""
    in_prompt: Bool[Tensor, "V"] | None = None
    finish: Finish | None = None


@dataclass(frozen=True)
class Token:
    """One token of a row, the raw logits it was chosen from, and those after penalties, bias and form.

    There are no logits where the form alone decided. `finish` is told with a row's last token.
    """

    row: Row
    id: int
    logits: Float[Tensor, "V"] | None
    adjusted: Float[Tensor, "V"] | None
    finish: Finish | None


@dataclass
class Lane:
    """Rows that go through the model together, their cache, and the logits or the tokens that come next."""

    cache: Any
    rows: list[Row]
    logits: Float[Tensor, "B V"] | None


@dataclass
class Batch:
    """Texts being written side by side."""

    forward: Forward
    end_id: int
    lanes: list[Lane]
    rows: list[Row]
    """All of them in the order of the requests, also those that have ended."""
