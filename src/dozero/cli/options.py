"""Checks of options that several verbs share, light enough to run before anything heavy is imported."""

from __future__ import annotations

from dozero.errors import ConfigError

STAGES = ("corpus", "tokenizer", "dataset", "model")


def check_minutes(minutes: float | None) -> None:
    """Raise ConfigError for minutes that are no time at all."""
    if minutes is not None and not 0 < minutes < float("inf"):
        raise ConfigError("must be more than 0", where="--minutes", got=f"{minutes:g}", next="--minutes 1")


def check_stage(name: str) -> None:
    """Raise ConfigError for a stage that there is not."""
    if name not in STAGES:
        raise ConfigError("no such stage", where="--to", expected=f"one of {', '.join(STAGES)}", got=repr(name))
