"""How an evaluation looks in a terminal: figures with intervals, a confusion matrix, calibration, copied passages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dozero.cli.evaluation_messages import tell
from dozero.eval.names import name_measure
from dozero.train.figures import shown
from dozero.train.report_evaluations import figure_of

if TYPE_CHECKING:
    from dozero.cli.display import Display
    from dozero.eval.results import Result

COPIES_SHOWN, COPY_SHOWN = 5, 160
BAR = 24
LABEL = 12


def show_result(display: Display, result: Result) -> None:
    """Show what a task found."""
    lang = display.lang
    key = "task_head_part" if result.of_items > result.items else "task_head"
    display.line()
    display.line(
        tell(lang, key, task=result.task, items=result.items, of_items=result.of_items, seconds=result.seconds)
    )
    names = [name_measure(lang, measure["name"]) for measure in result.measures]
    width = max(map(len, names))
    for place, (name, measure) in enumerate(zip(names, result.measures, strict=True)):
        value = figure_of(measure, result.kind, lang)
        told = [f"[bold]{value:>9}[/]" if place == 0 else f"{value:>9}"]
        if measure["low"] is not None:
            low, high = (figure_of(measure, result.kind, lang, measure[end]) for end in ("low", "high"))
            told.append(f"[dim]{tell(lang, 'interval', low=low, high=high)}[/]")
        if measure.get("chance") is not None:
            told.append(
                f"[dim]{tell(lang, 'chance', chance=figure_of(measure, result.kind, lang, measure['chance']))}[/]"
            )
        if measure.get("verdict") in ("at_chance", "worse"):
            told.append(tell(lang, measure["verdict"]))
        display.line(f"  {name:<{width}}  {'   '.join(told)}")
    show_details(display, result)


def show_details(display: Display, result: Result) -> None:
    """Show what a task found besides its figures."""
    details = result.details
    if "confusion" in details:
        _show_confusion(display, details)
    if details.get("bins"):
        _show_reliability(display, details["bins"])
    if "copies" in details:
        _show_copies(display, result)
    for metric, signature in details.get("signatures", {}).items():
        display.line("  " + tell(display.lang, "signature", metric=metric, signature=signature))


def _show_confusion(display: Display, details: dict[str, Any]) -> None:
    """Show precision, recall and F1 of each class, and the confusion matrix with shares as shades."""
    from rich.markup import escape

    lang = display.lang
    heads = [tell(lang, key) for key in ("class_head", "precision", "recall", "f1", "support")]
    display.line(f"  {heads[0]:<{LABEL}}" + "".join(f"{head:>11}" for head in heads[1:]))
    for score in details["classes"]:
        figures = "".join(f"{shown(score[key], lang):>11.3f}" for key in ("precision", "recall", "f1"))
        display.line(f"  {escape(score['label'][:LABEL].ljust(LABEL))}{figures}{score['support']:>11}")
    display.line(f"  [dim]{tell(lang, 'confusion')}[/]")
    labels = [label[: LABEL - 2] for label in details["labels"]]
    display.line("  " + " " * LABEL + "".join(escape(label.rjust(LABEL)) for label in labels))
    for label, row in zip(labels, details["confusion"], strict=True):
        cells = "".join(f"{f'{_shade(count, sum(row))} {count}':>{LABEL}}" for count in row)
        display.line(f"  {escape(label.ljust(LABEL))}{cells}")


def _shade(count: int, total: int) -> str:
    """Return a block as dark as the share is large.

    >>> _shade(0, 10), _shade(10, 10)
    (' ', '█')
    """
    return " ░▒▓█"[round(4 * count / max(1, total))]


def _show_reliability(display: Display, bins: list[dict[str, Any]]) -> None:
    """Show a bar for each band of confidence: how often it was right, with a mark where it should have been."""
    lang = display.lang
    display.line(f"  [dim]{tell(lang, 'reliability')}[/]")
    for b in bins:
        filled, due = round(BAR * b["accuracy"]), min(BAR - 1, round(BAR * b["confidence"]))
        bar = "█" * filled + "·" * (BAR - filled)
        bar = bar[:due] + "│" + bar[due + 1 :]
        band = tell(lang, "reliability_row", low=b["low"], high=b["high"])
        display.line(f"  {band:<14} {bar} {shown(b['accuracy'], lang):>6.1%} [dim]{shown(b['count'], lang):>10,}[/]")


def _show_copies(display: Display, result: Result) -> None:
    """Show the longest passages copied, each with its document and licence."""
    lang, details = display.lang, result.details
    copies, facts = details["copies"], {"shortest": details["shortest"], "documents": details["documents"]}
    if not copies:
        display.line("  " + tell(lang, "copies_none", **facts))
        return
    display.line("  " + tell(lang, "copies", count=len(copies), **facts))
    for copy in copies[:COPIES_SHOWN]:
        text = " ".join(copy["text"].split())
        told = {**copy, "text": text[:COPY_SHOWN] + ("..." if len(text) > COPY_SHOWN else "")}
        told["licence"] = copy["licence"] or tell(lang, "no_licence")
        display.line("    " + tell(lang, "copy", **told))
    if len(copies) > COPIES_SHOWN:
        display.line("    " + tell(lang, "copies_more", count=len(copies) - COPIES_SHOWN, path=result.path))
