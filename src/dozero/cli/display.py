"""How events look in a terminal: a live bar on stderr, lines that stay, or JSON lines on stdout."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from dozero.cli.messages import number, say
from dozero.corpus.events import UnitDone, Unread
from dozero.pipeline.events import StageDone
from dozero.train.events import (
    Compiling,
    Diverged,
    Evaluated,
    Event,
    Finished,
    Replanned,
    Sampled,
    Started,
    Stepped,
    Stopped,
    Unsaved,
)

SPARKS = "▁▂▃▄▅▆▇█"
SPARK_WIDTH = 20
UNREAD_TOLD = 3
DOCUMENTS_TOLD = 8
DIGITS = re.compile(r"[0-9]+")


class Display:
    """Shows the events of a run as they come; used as a context manager so that the bar always ends."""

    def __init__(self, lang: str, *, as_json: bool = False) -> None:
        self.lang, self.as_json = lang, as_json
        self.token_kind = "char"
        """Kind of the tokenizer whose tokens losses are told by."""
        self.out = Console(highlight=False, soft_wrap=True, quiet=as_json)
        err = Console(stderr=True, highlight=False, soft_wrap=True, quiet=as_json)
        self._bar = Progress(
            TextColumn("{task.fields[spark]}"), BarColumn(bar_width=20), TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TextColumn("loss {task.fields[loss]:.3f}"), TextColumn("{task.fields[speed]} tokens/s"),
            TimeElapsedColumn(), TextColumn("ETA"), TimeRemainingColumn(),
            console=err, transient=True, disable=as_json or not err.is_terminal,
        )  # fmt: skip
        self._reader = Progress(
            BarColumn(bar_width=20), TextColumn("{task.completed:.0f}/{task.total:.0f}"), TextColumn("{task.fields[what]}"),
            TimeElapsedColumn(), TextColumn("ETA"), TimeRemainingColumn(),
            console=err, transient=True, disable=as_json or not err.is_terminal,
        )  # fmt: skip
        self._task: TaskID | None = None
        self._reading: TaskID | None = None
        self._losses: list[float] = []
        self._heldout = float("nan")
        self._replanned = False
        self._unread = Counter[str]()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._end()

    def _end(self) -> None:
        """Take the bars away: what is printed from here on are results again."""
        self._end_reading()
        self._bar.stop()
        self._task = None

    def line(self, text: str = "") -> None:
        """Print a line that stays (rich markup)."""
        (self._bar.console if self._task is not None or self._reading is not None else self.out).print(text)

    def say(self, key: str, indent: int = 0, **values: Any) -> None:
        """Print a message of the table."""
        safe = {k: escape(v) if isinstance(v, str) else v for k, v in values.items()}
        self.line(" " * indent + say(self.lang, key, **safe))

    def print_json(self, tree: dict[str, Any]) -> None:
        """Print one JSON line on stdout."""
        print(json.dumps(tree, ensure_ascii=False), flush=True)

    def show(self, event: StageDone | UnitDone | Unread | Event, indent: int = 0) -> None:
        """Show one event, or print it as a JSON line."""
        if self.as_json:
            self.print_json(event_tree(event))
            return
        match event:
            case Stepped():
                self._advance(event)
            case Evaluated():
                self._heldout = event.loss
            case Sampled() if event.step:
                self.say(
                    "training_sample",
                    indent,
                    step=event.step,
                    loss=self._heldout,
                    text=event.text,
                    unit=say(self.lang, f"unit_{self.token_kind}"),
                )
            case Started():
                self._start(event, indent)
            case Diverged():
                self._tell_bad_step(event, indent)
            case Unsaved():
                self.say("unsaved", indent, step=event.step, reason=event.reason)
            case Replanned() if not self._replanned:
                self._replanned = True  # once: from here on the bar tells
                self.say("replanned", indent, total=event.total_steps)
            case UnitDone():
                self._read(event)
            case Unread():
                self._tell_unread(event, indent)
            case StageDone():
                self._end_reading()
                key, stage = "stage_made" if event.made else "stage_current", say(self.lang, f"stage_{event.stage}")
                self.say(key, indent, stage=stage, path=str(event.path))
            case Finished() | Stopped():
                self._end()
            case _:
                pass

    def _tell_unread(self, event: Unread, indent: int) -> None:
        """Say what was not read and why; of many for one reason, as the pictures of a manual, only the first."""
        why = DIGITS.sub("#", event.what)
        self._unread[why] += 1
        if self._unread[why] <= UNREAD_TOLD:
            self.say("unread", indent, where=event.where, what=event.what)
        elif self._unread[why] == UNREAD_TOLD + 1:
            self.say("unread_more", indent, what=event.what)

    def _read(self, event: UnitDone) -> None:
        """Move the bar of a corpus being read."""
        if self._reading is None:
            self._reading = self._reader.add_task("", total=event.units, what="")
            self._reader.start()
        what = say(self.lang, "read_so_far", documents=number(self.lang, event.documents),
                   kept=number(self.lang, event.kept), mb=event.bytes / 1e6)  # fmt: skip
        self._reader.update(self._reading, completed=event.done, total=event.units, what=what)

    def _end_reading(self) -> None:
        self._reader.stop()
        self._reading = None

    def _start(self, event: Started, indent: int) -> None:
        for path, reason in event.passed_over:
            self.say("passed_over", indent, path=str(path), reason=reason)
        for what in event.differences:
            self.say("differences", indent, what=what)
        if event.attention_ms:
            words = {kernel: say(self.lang, f"attention_{kernel}") for kernel in (*event.attention_ms, event.attention)}
            times = ", ".join(f"{words[kernel]} {ms:.0f} ms" for kernel, ms in event.attention_ms.items())
            self.say("attention", indent, kernel=words[event.attention], times=times)
        self._tell_compiling(event.compiling, indent)
        if event.step:
            self.say("training_resumed", indent, step=event.step, total=event.total_steps)

    def _tell_compiling(self, compiling: Compiling, indent: int) -> None:
        if compiling.reason:
            self.say("compile_failed", indent, reason=compiling.reason)
        elif compiling.took_ms:
            self.say(f"compile_{compiling.choice}", indent, **compiling.took_ms, seconds=compiling.seconds)
        elif compiling.choice == "on":
            self.say("compiled", indent, seconds=compiling.seconds)

    def _tell_bad_step(self, event: Diverged, indent: int) -> None:
        """Say which documents the step was made of: all of them are in the metrics, the first few here."""
        shown = ", ".join(map(str, event.documents[:DOCUMENTS_TOLD]))
        more = ", ..." if len(event.documents) > DOCUMENTS_TOLD else ""
        facts = {"step": event.step, "what": event.what, "got": event.got, "documents": shown + more}
        if event.action == "rollback":
            self.say("diverged_rollback", indent, back=event.continues_from, **facts)
        else:
            self.say("diverged_skip" if event.action == "skip" else "diverged_raise", indent, **facts)

    def _advance(self, event: Stepped) -> None:
        self._losses.append(event.loss)
        if self._task is None:
            self._bar.start()
            self._task = self._bar.add_task("", total=event.total_steps, loss=event.loss, speed="", spark="")
        self._bar.update(
            self._task, completed=event.step, total=event.total_steps, loss=event.loss,
            speed=number(self.lang, round(event.tokens_per_s)), spark=sparkline(self._losses),
        )  # fmt: skip


def sparkline(values: list[float], width: int = SPARK_WIDTH) -> str:
    """Return the values as a line of blocks, averaged into at most `width` of them.

    >>> sparkline([4.0, 3.0, 2.0, 1.0])
    '█▆▃▁'
    """
    size = max(1, -(-len(values) // width))
    means = [sum(values[i : i + size]) / len(values[i : i + size]) for i in range(0, len(values), size)]
    low, high = min(means), max(means)
    scale = (len(SPARKS) - 1) / (high - low) if high > low else 0.0
    return "".join(SPARKS[round((m - low) * scale)] for m in means)


def event_tree(event: object) -> dict[str, Any]:
    """Return an event as plain data, with its name under "event" and paths as text."""
    assert is_dataclass(event)
    assert not isinstance(event, type)
    tree = {"event": type(event).__name__, **asdict(event)}
    if isinstance(event, Finished):
        tree["heldout"] |= {
            "bits_per_character": event.heldout.bits_per_character,
            "bits_per_byte": event.heldout.bits_per_byte,
            "nats_per_document": event.heldout.nats_per_document,
        }
    return json.loads(json.dumps(tree, default=str, ensure_ascii=False))


def show_stop(display: Display, event: Stopped) -> None:
    """Tell that a run was interrupted and how to go on: with the command just given."""
    display.say("stopped", step=event.step, total=event.total_steps)
    display.line("  " + escape(command_line()))


def command_line() -> str:
    """Return the command that runs now, as one would type it again."""
    import shlex

    words = [w for w in sys.argv[1:] if w != "--fresh"]  # again, but not anew
    return shlex.join([Path(sys.argv[0]).name.replace("__main__.py", "dozero"), *words])
