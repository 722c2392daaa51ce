"""Pictures of an evaluation by matplotlib: confusion.png and reliability.png. Without it there are none."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dozero.eval.calibration import BINS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOUR, LINE, FAINT = "#0072b2", "#555555", "#b5c9d9"
MOST_LABELS = 25
"""Classes of a confusion matrix that can still be read as a picture."""
# Under each key: Portuguese, then English.
TEXT = {
    "said": ("resposta do modelo", "said by the model"),
    "right": ("certo", "right"),
    "confidence": ("probabilidade que o modelo dá", "probability that the model gives"),
    "accuracy": ("vezes em que acerta", "how often it is right"),
    "perfect": ("calibração perfeita", "perfect calibration"),
    "predictions": ("previsões", "predictions"),
}


def draw_outcome(details: dict[str, Any], folder: Path, lang: str) -> list[Path]:
    """Write the pictures that the details of an evaluation give to a folder, captions in "pt" or "en", and return them.

    They are drawn in a thread of its own: matplotlib, while it is imported, leaves exceptions behind that keep the
    frames of all its callers alive.
    """
    wanted: list[tuple[str, Callable[[Figure, dict[str, Any], str], None]]] = []
    if "confusion" in details and len(details["labels"]) <= MOST_LABELS:
        wanted.append(("confusion", _draw_confusion))
    if details.get("bins"):
        wanted.append(("reliability", _draw_reliability))
    if not wanted or find_spec("matplotlib") is None:
        return []
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: [_draw(folder / f"{n}.png", draw, details, lang) for n, draw in wanted]).result()


def _draw(file: Path, draw: Callable[[Any, dict[str, Any], str], None], details: dict[str, Any], lang: str) -> Path:
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained", dpi=120)
    draw(figure, details, lang)
    figure.savefig(file, metadata={"Software": None})  # the same picture whatever drew it
    return file


def _text(lang: str, key: str) -> str:
    return TEXT[key][0 if lang == "pt" else 1]


def _draw_confusion(figure: Figure, details: dict[str, Any], lang: str) -> None:
    """Draw the confusion matrix, each row as shares of its class, with the counts written in."""
    labels, matrix = details["labels"], details["confusion"]
    size = 2.5 + 0.6 * len(labels)
    figure.set_size_inches(size + 1, size)
    axes = figure.subplots()
    shares = [[count / max(1, sum(row)) for count in row] for row in matrix]
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for y, row in enumerate(matrix):
        for x, count in enumerate(row):
            axes.text(x, y, str(count), ha="center", va="center", color="white" if shares[y][x] > 0.5 else "black")
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel(_text(lang, "said"))
    axes.set_ylabel(_text(lang, "right"))


def _draw_reliability(figure: Figure, details: dict[str, Any], lang: str) -> None:
    """Draw how often predictions of like confidence are right, over how many there are."""
    bins = details["bins"]
    figure.set_size_inches(5.5, 6)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    middle = [(b["low"] + b["high"]) / 2 for b in bins]
    above.plot([0, 1], [0, 1], color=LINE, linestyle=":", label=_text(lang, "perfect"))
    above.bar(middle, [b["accuracy"] for b in bins], width=1 / BINS, color=FAINT, edgecolor="white")
    above.plot([b["confidence"] for b in bins], [b["accuracy"] for b in bins], "o-", color=COLOUR)
    above.set(ylabel=_text(lang, "accuracy"), xlim=(0, 1), ylim=(0, 1))
    above.legend(frameon=False, loc="upper left")
    below.bar(middle, [b["count"] for b in bins], width=1 / BINS, color=FAINT, edgecolor="white")
    below.set(ylabel=_text(lang, "predictions"), xlabel=_text(lang, "confidence"))
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
