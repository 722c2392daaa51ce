"""Consumers of a run's events for those who look at TensorBoard or Weights & Biases: each passes every event on."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from dozero.errors import ConfigError, MissingExtra, did_you_mean
from dozero.train.events import Evaluated, Event, Observed, Sampled, Started, Stepped

Events = Generator[Event, None, None]


def to_tensorboard(events: Iterator[Event], folder: Path) -> Events:
    """Write scalars and samples to event files in `folder`/tensorboard, and yield the events.

    What an earlier, killed session told past the step this one begins at is hidden. Leaving early leaves `events` too.
    """
    from torch.utils.tensorboard import SummaryWriter

    writer = None
    try:
        for event in events:
            if isinstance(event, Started):
                writer = SummaryWriter(str(folder / "tensorboard"), purge_step=event.step + 1)
            if writer is not None:
                for name, value in scalars_of(event).items():
                    writer.add_scalar(name, value, event.step)
                if isinstance(event, Sampled):
                    writer.add_text("sample", event.text, event.step)
            yield event
    finally:
        _leave(events)
        if writer is not None:
            writer.close()


def to_wandb(events: Iterator[Event], folder: Path, offline: bool = True) -> Events:
    """Log scalars and samples to a Weights & Biases run kept in `folder`/wandb, and yield the events.

    Offline, nothing leaves this machine until one calls `wandb sync` on that folder. Leaving early leaves `events` too.
    """
    wandb = importlib.import_module("wandb")
    folder.mkdir(parents=True, exist_ok=True)
    run = wandb.init(project="dozero", name=folder.name, dir=str(folder), mode="offline" if offline else "online")
    try:
        for event in events:
            told: dict[str, float | str] = {**scalars_of(event)}
            if isinstance(event, Sampled):
                told["sample"] = event.text
            if told:
                run.log(told, step=event.step)
            yield event
    finally:
        _leave(events)
        run.finish()


SINKS: dict[str, Callable[[Iterator[Event], Path], Events]] = {"tensorboard": to_tensorboard, "wandb": to_wandb}


def check_sinks(names: Sequence[str]) -> None:
    """Raise ConfigError for a consumer that there is not, MissingExtra for one whose package is not installed."""
    for name in names:
        if name not in SINKS:
            hint = did_you_mean(name, SINKS) or "tensorboard"
            where, expected = "train.log_to", " or ".join(SINKS)
            raise ConfigError(
                "no such consumer", where=where, expected=expected, got=repr(name), next=f'train.log_to=["{hint}"]'
            )
        if importlib.util.find_spec(name) is None:
            raise MissingExtra(name, extra=name)


def pass_through(events: Iterator[Event], names: Sequence[str], folder: Path) -> Iterator[Event]:
    """Return the events as they come, told on their way to each of the consumers named."""
    check_sinks(names)
    for name in names:
        events = SINKS[name](events, folder)
    return events


def scalars_of(event: Event) -> dict[str, float]:
    """Return the figures of an event by the name of a curve.

    >>> scalars_of(Evaluated(step=3, loss=1.5, bits_per_byte=2.0))
    {'heldout/loss': 1.5, 'heldout/bits_per_byte': 2.0}
    """
    match event:
        case Stepped():
            names = ("loss", "bits_per_byte", "grad_norm", "lr_scale", "tokens_per_s", "utilisation")
            figures = {f"train/{name}": getattr(event, name) for name in names}
        case Evaluated():
            figures = {"heldout/loss": event.loss, "heldout/bits_per_byte": event.bits_per_byte}
        case Observed():
            figures = {f"{k}/{x.name}": v for x in event.layers for k, v in asdict(x).items() if k != "name"}
            figures["machine/resident_bytes"] = event.resident_bytes
        case _:
            figures = {}
    return {name: value for name, value in figures.items() if value is not None}


def _leave(events: Iterator[Event]) -> None:
    """Close what is being passed on, so that a run that is left saves now and not when its memory is freed."""
    if isinstance(events, Generator):
        events.close()
