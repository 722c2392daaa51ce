"""The histograms of a report as PNG pictures, by matplotlib: lengths, languages, reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dozero.corpus.reasons import reason_in
from dozero.durable import explain_os_errors
from dozero.errors import MissingExtra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BARS = 20
KEPT_COLOUR, DROPPED_COLOUR = "#0072b2", "#e69f00"  # told apart by colour-blind readers too (Okabe & Ito 2008)
TEXT = {
    "lengths": ("Tamanho dos documentos", "Length of the documents"),
    "languages": ("Línguas dos documentos", "Languages of the documents"),
    "reasons": ("Por que documentos saíram", "Why documents were dropped"),
    "characters": ("tamanho (caracteres, escala logarítmica)", "length (characters, logarithmic scale)"),
    "words": ("tamanho (palavras, escala logarítmica)", "length (words, logarithmic scale)"),
    "documents": ("documentos", "documents"),
    "kept": ("ficam", "kept"),
    "dropped": ("saem", "dropped"),
    "unknown": ("desconhecida", "unknown"),
    "others": ("outros ({count})", "others ({count})"),
}


def draw_plots(report: Mapping[str, Any], folder: Path, lang: str) -> list[Path]:
    """Write lengths.png, languages.png and reasons.png to `folder`, captions in "pt" or "en", and return them.

    A picture without anything to show is not made. Raises MissingExtra without matplotlib.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise MissingExtra("matplotlib", extra="plots") from None

    drawings = (("lengths", _draw_lengths), ("languages", _draw_languages), ("reasons", _draw_reasons))
    made = []
    with explain_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, draw in drawings:
            file = folder / f"{name}.png"
            file.unlink(missing_ok=True)
            figure = Figure(layout="constrained", dpi=120)
            if draw(figure, report, lang):
                figure.suptitle(_text(lang, name), fontsize=13)
                figure.savefig(file, metadata={"Software": None})  # the same picture whatever drew it
                made.append(file)
    return made


def _text(lang: str, key: str) -> str:
    return TEXT[key][0 if lang == "pt" else 1]


def _draw_lengths(figure: Figure, report: Mapping[str, Any], lang: str) -> bool:
    """Draw documents by characters and by words, each bin twice as wide as the one before."""
    figure.set_size_inches(10, 4)
    for axes, unit in zip(figure.subplots(1, 2), ("characters", "words"), strict=True):
        bins = [row for row in report["lengths"][unit] if row["to"]]  # no place for a length of 0 on this scale
        if not bins:
            return False
        left, width = [row["from"] for row in bins], [row["to"] + 1 - row["from"] for row in bins]
        kept, dropped = ([row[name] for row in bins] for name in ("kept", "dropped"))
        axes.bar(left, kept, width, align="edge", color=KEPT_COLOUR, edgecolor="white", label=_text(lang, "kept"))
        axes.bar(
            left,
            dropped,
            width,
            kept,
            align="edge",
            color=DROPPED_COLOUR,
            edgecolor="white",
            label=_text(lang, "dropped"),
        )
        axes.set_xscale("log", base=10)
        axes.set_xlabel(_text(lang, unit))
        axes.set_ylabel(_text(lang, "documents"))
        axes.minorticks_off()
        _plain(axes, lang)
        axes.legend(frameon=False)
    return True


def _draw_languages(figure: Figure, report: Mapping[str, Any], lang: str) -> bool:
    rows = [
        (r["language"] or _text(lang, "unknown"), r["kept_documents"], r["dropped_documents"])
        for r in report["languages"]
    ]
    rows = _folded(sorted(rows, key=lambda row: -row[1] - row[2]), lang)
    return _draw_bars(figure, rows, lang, legend=True)


def _draw_reasons(figure: Figure, report: Mapping[str, Any], lang: str) -> bool:
    rows = [(reason_in(lang, r["reason"]), 0, r["documents"]) for r in report["reasons"]]
    return _draw_bars(figure, _folded(rows, lang), lang, legend=False)


def _folded(rows: Sequence[tuple[str, int, int]], lang: str) -> list[tuple[str, int, int]]:
    """Return the first rows, and what comes after them as one."""
    first, rest = list(rows[:BARS]), rows[BARS:]
    if rest:
        first.append((_text(lang, "others").format(count=len(rest)), sum(r[1] for r in rest), sum(r[2] for r in rest)))
    return first


def _draw_bars(figure: Figure, rows: Sequence[tuple[str, int, int]], lang: str, *, legend: bool) -> bool:
    """Draw lying bars, the first on top, each with its number of documents."""
    if not rows:
        return False
    figure.set_size_inches(8, 1.6 + 0.3 * len(rows))
    axes = figure.subplots()
    names, kept, dropped = zip(*rows, strict=True)
    places = range(len(rows))
    axes.barh(places, kept, color=KEPT_COLOUR, label=_text(lang, "kept"))
    axes.barh(places, dropped, left=kept, color=DROPPED_COLOUR, label=_text(lang, "dropped"))
    longest = max(k + d for _, k, d in rows)
    for place, (_, k, d) in zip(places, rows, strict=True):
        axes.text(k + d + longest / 100, place, _grouped(lang, k + d), va="center", fontsize=9)
    axes.invert_yaxis()
    axes.set_xlim(0, longest * 1.12)
    axes.set_xlabel(_text(lang, "documents"))
    _plain(axes, lang)
    axes.set_yticks(places, names)
    if legend:
        axes.legend(frameon=False, loc="lower right")
    return True


def _plain(axes: Axes, lang: str) -> None:
    """Take away what tells nothing, and write the numbers of both axes as the language does."""
    from matplotlib.ticker import MaxNLocator

    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(length=0)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: _grouped(lang, value))
        locator = axis.get_major_locator()
        if isinstance(locator, MaxNLocator):  # there is no half a document
            locator.set_params(integer=True)


def _grouped(lang: str, value: float) -> str:
    """Return a whole number with the language's thousands separator."""
    text = f"{value:,.0f}"
    return text.replace(",", ".") if lang == "pt" else text
