"""What is told of a plan: what to expect of the minutes before they are spent, and what became of it."""

from __future__ import annotations

import math
from pathlib import Path

from dozero.cli.display import Display
from dozero.cli.messages import number, say
from dozero.dataset.stream import TokenStream
from dozero.train.events import Finished
from dozero.train.foretold import Foretold, foretell_plan, read_foretold
from dozero.train.plan import MUCH_LOST, Plan


def tell_plan(display: Display, plan: Plan, heldout: TokenStream, *, by_character: bool) -> None:
    """Say what is going to be trained, the loss to expect, and what it costs to see the text again and again."""
    if display.as_json:
        display.print_json({"event": "Planned", **foretell_plan(plan).__dict__})
    shape, lang = plan.config.model, display.lang
    display.say(
        "plan", 3, steps=number(lang, plan.steps), batch=number(lang, plan.config.train.batch_tokens),
        layers=shape.n_layers, width=shape.d_model, seconds=plan.seconds,
    )  # fmt: skip
    scale = heldout.bytes / heldout.characters if by_character else 1.0
    unit = say(lang, "unit_char" if by_character else "unit_byte")
    nats = plan.bits_per_byte * heldout.bytes / heldout.tokens * math.log(2)
    display.say("plan_loss", 3, bits=plan.bits_per_byte * scale, unit=unit, nats=nats, error=plan.error)
    if plan.is_rough:
        display.say("plan_rough", 3)
    cost = plan.bits_per_byte / plan.bits_if_new - 1
    if plan.is_shortened:
        display.say("plan_short", 3, minutes=plan.seconds / 60, asked=plan.asked_s / 60, epochs=plan.epochs)
    if cost > MUCH_LOST:
        display.say("plan_full", 3, epochs=plan.epochs, bits=plan.bits_if_new * scale, unit=unit, cost=cost)


def tell_outcome(display: Display, run: Path, finished: Finished, indent: int = 0) -> None:
    """Say how near a run came to what its plan foretold; nothing of a run without one."""
    foretold = read_foretold(run)
    if foretold is None:
        return
    bits, off = finished.heldout.bits_per_byte, off_by(foretold, finished.heldout.bits_per_byte)
    if display.as_json:
        display.print_json({"event": "Compared", "foretold": foretold.bits_per_byte, "got": bits, "off": off})
    display.say("plan_outcome", indent, foretold=foretold.bits_per_byte, got=bits, off=off)


def off_by(foretold: Foretold, bits_per_byte: float) -> float:
    """Return by which share a loss is above (or, negative, below) the one foretold."""
    return bits_per_byte / foretold.bits_per_byte - 1
