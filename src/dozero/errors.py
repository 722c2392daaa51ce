"""Every error that dozero raises on purpose.

    DozeroError               anything the user can put right; the command line prints one line and exits 2
    ├── ConfigError           a value, key, option or language that is not accepted
    ├── DataError             input text that is missing, empty, unreadable or of the wrong form
    ├── ArtifactError         a folder of ours that is missing, altered, half-written, foreign or in use
    │   └── CheckpointError   the same, for a training checkpoint
    ├── DivergedError         a loss or gradient that is not finite, or a loss that jumped
    ├── OutOfMemory           a step that does not fit the memory
    ├── PeerLost              another process of a run in several is gone or silent
    ├── ModelMismatch         weights, configuration and tokenizer that do not belong together
    └── MissingExtra          an optional dependency that is not installed

Mistakes of our own are `assert`; they reach the user as a traceback and exit code 1.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class DozeroError(Exception):
    """An error the user can act on, told in the order a person asks: what, where, expected, got, what now.

    >>> print(DozeroError("minutes must be positive", got=-1, next="dozero hello --minutes 1"))
    minutes must be positive; got -1. Try: dozero hello --minutes 1
    """

    def __init__(
        self, what: str, *, where: object = None, expected: object = None, got: object = None, next: str | None = None
    ) -> None:
        self.what, self.where, self.expected, self.got, self.next = what, where, expected, got, next
        super().__init__(what)

    def __str__(self) -> str:
        parts = [self.what if self.where is None else f"{self.where}: {self.what}"]
        if self.expected is not None:
            parts.append(f"expected {self.expected}")
        if self.got is not None:
            parts.append(f"got {self.got}")
        line = "; ".join(parts)
        return line if self.next is None else f"{line}. Try: {self.next}"


class ConfigError(DozeroError):
    """A value, key, option or language that is not accepted."""


class DataError(DozeroError):
    """Input text that is missing, empty, unreadable or of the wrong form."""


class ArtifactError(DozeroError):
    """A folder of ours that is missing, altered, half-written, foreign or in use."""


class CheckpointError(ArtifactError):
    """A training checkpoint that cannot be used."""


class DivergedError(DozeroError):
    """A loss or gradient that is not finite, or a loss that jumped: told before the update that would spread it."""


class OutOfMemory(DozeroError):
    """A step that does not fit the memory of this machine."""


class PeerLost(DozeroError):
    """Another process of a run in several is gone or silent: this one cannot go on alone."""


class ModelMismatch(DozeroError):
    """Weights, configuration and tokenizer that do not belong together."""


class MissingExtra(DozeroError):
    """An optional dependency that is not installed.

    >>> print(MissingExtra("transformers", extra="test"))
    this needs the package transformers, which is not installed. Try: pip install "dozero[test]"
    """

    def __init__(self, package: str, *, extra: str) -> None:
        super().__init__(
            f"this needs the package {package}, which is not installed", next=f'pip install "dozero[{extra}]"'
        )


class Interrupted(BaseException):
    """A run was stopped by a signal and saved. Not an error: it carries the exit code past everything that handles them."""

    def __init__(self, exit_code: int) -> None:
        self.exit_code = exit_code
        super().__init__(exit_code)


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """Return the known word nearest to a misspelt one, or None.

    >>> did_you_mean("lerning_rate", ["learning_rate", "batch_tokens"])
    'learning_rate'
    """
    nearest = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return nearest[0] if nearest else None
