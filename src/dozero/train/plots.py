"""The curves of a run as PNG pictures, by matplotlib: loss.png, and learning.png with what happened on the way."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dozero.durable import explain_os_errors
from dozero.errors import MissingExtra
from dozero.train.diagnose import HIGH_RATIO, LOW_RATIO
from dozero.train.findings import layer_name
from dozero.train.run_facts import RunFacts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TRAIN, HELDOUT, LINE, FAINT = "#0072b2", "#d55e00", "#0072b2", "#b5c9d9"  # told apart by colour-blind readers too
SMOOTHED = 40
"""Points of a smoothed curve; what is noisier than that is shown faintly behind it."""
LEGEND_ROWS = 10
LEAST_DRAWN = 0.02
"""Looks at a lower share of the learning rate are left out: the last step, at almost none, would stretch the scale."""
TEXT = {
    "step": ("passo", "step"),
    "loss": ("Perda", "Loss"),
    "nats": ("nats por token", "nats per token"),
    "bits": ("bits por byte (prova)", "bits per byte (held out)"),
    "train": ("treino", "training"),
    "heldout": ("prova", "held out"),
    "best": ("menor: {bits} bits por byte, passo {step}", "lowest: {bits} bits per byte, step {step}"),
    "lr": ("Taxa de aprendizado (parte do máximo)", "Learning rate (share of its peak)"),
    "grad": ("Norma do gradiente", "Gradient norm"),
    "clip": ("daqui para cima é cortado", "clipped from here up"),
    "ratio": ("Mudança / peso, por camada", "Update / weight, by layer"),
    "usual": ("usual com a taxa no máximo", "usual at the full rate"),
    "speed": ("Tokens por segundo", "Tokens per second"),
    "median": ("mediana", "median"),
}


def draw_run_plots(facts: RunFacts, folder: Path, lang: str) -> list[Path]:
    """Write loss.png and learning.png to `folder`, captions in "pt" or "en", and return them; none without a curve.

    Raises MissingExtra without matplotlib.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra("matplotlib", extra="plots") from None

    made = []
    if len(facts.losses) < 2:
        return made
    with explain_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, draw in (("loss", _draw_loss), ("learning", _draw_learning)):
            file = folder / f"{name}.png"
            figure = Figure(layout="constrained", dpi=120)
            draw(figure, facts, lang)
            figure.savefig(file, metadata={"Software": None})  # the same picture whatever drew it
            made.append(file)
    return made


def _text(lang: str, key: str, **values: Any) -> str:
    return TEXT[key][0 if lang == "pt" else 1].format(**values)


def _draw_loss(figure: Figure, facts: RunFacts, lang: str) -> None:
    """Draw both losses in nats per token, with bits per byte of the held-out text on the right."""
    figure.set_size_inches(9, 4.5)
    axes = figure.subplots()
    steps, losses = _column(facts.losses, "loss")
    _draw_noisy(axes, steps, losses, TRAIN, _text(lang, "train"))
    if facts.heldout:
        at, heldout = _column(facts.heldout, "heldout_loss")
        axes.plot(at, heldout, color=HELDOUT, linewidth=2, marker="o", markersize=3.5, label=_text(lang, "heldout"))
        best = min(facts.heldout, key=lambda line: line["heldout_loss"])
        if "heldout_bits_per_byte" in best:
            bits = best["heldout_bits_per_byte"]
            axes.plot(best["step"], best["heldout_loss"], "o", color=HELDOUT, markersize=8, markerfacecolor="none",
                      label=_text(lang, "best", bits=_number(lang, bits), step=best["step"]))  # fmt: skip
            scale = bits / best["heldout_loss"]
            right = axes.secondary_yaxis("right", functions=(lambda y: y * scale, lambda y: y / scale))
            right.set_ylabel(_text(lang, "bits"))
            right.spines["right"].set_visible(False)
            right.tick_params(length=0)
            right.yaxis.set_major_formatter(lambda value, _: _number(lang, value))
    axes.set_ylabel(_text(lang, "nats"))
    axes.set_xlabel(_text(lang, "step"))
    axes.legend(frameon=False)
    _plain(axes, lang, "loss")


def _draw_learning(figure: Figure, facts: RunFacts, lang: str) -> None:
    figure.set_size_inches(12, 7)
    lr, grad, ratio, speed = figure.subplots(2, 2).flat
    steps, scales = _column(facts.losses, "lr_scale")
    lr.plot(steps, scales, color=LINE, linewidth=2)
    lr.set_ylim(0, 1.05)
    _plain(lr, lang, "lr")
    _draw_noisy(grad, *_column(facts.losses, "grad_norm"), LINE)
    clip = facts.config.optim.clip
    if max(line["grad_norm"] for line in facts.losses) > clip / 2:
        grad.axhline(clip, color="grey", linewidth=1, linestyle=":", label=_text(lang, "clip"))
        grad.legend(frameon=False)
    grad.set_ylim(bottom=0)
    _plain(grad, lang, "grad")
    _draw_ratios(ratio, facts, lang)
    timed = [line for line in facts.timings if "tokens_per_s" in line]
    if timed:
        at, speeds = _column(timed, "tokens_per_s")
        _draw_noisy(speed, at, speeds, LINE)
        median = statistics.median(speeds)
        speed.axhline(
            median, color="grey", linewidth=1, linestyle=":", label=f"{_text(lang, 'median')} {_number(lang, median)}"
        )
        speed.legend(frameon=False, loc="lower right")
    speed.set_ylim(bottom=0)
    _plain(speed, lang, "speed")
    for axes in (ratio, speed):
        axes.set_xlabel(_text(lang, "step"))


def _draw_ratios(axes: Axes, facts: RunFacts, lang: str) -> None:
    """Draw the change of each layer's weights by one update: deeper blocks darker, MLPs dashed, the ends in grey."""
    from matplotlib import colormaps

    names = list(facts.looks[-1]["layers"]) if facts.looks else []
    depth = max((int(name.split()[1]) for name in names if name.startswith("layer ")), default=0)
    dark = colormaps["viridis_r"]
    for name in names:
        points = [
            (look["step"], look["layers"][name]["update_ratio"])
            for look in facts.looks
            if look["observed_lr_scale"] >= LEAST_DRAWN and look["layers"][name]["update_ratio"] > 0
        ]
        if not points:
            continue
        block = name.startswith("layer ")
        colour = dark(0.2 + 0.75 * int(name.split()[1]) / max(1, depth)) if block else "grey"
        style = "--" if name.endswith(("mlp", "head")) else "-"
        shown = len(names) <= LEGEND_ROWS or not block or int(name.split()[1]) in (0, depth)
        axes.plot(*zip(*points, strict=True), style, color=colour, label=layer_name(name, lang) if shown else None)
    if names:
        axes.set_yscale("log")
        axes.axhspan(LOW_RATIO, HIGH_RATIO, color=FAINT, alpha=0.25, linewidth=0, label=_text(lang, "usual"))
        axes.legend(frameon=False, fontsize=8, ncols=2, loc="lower left")
    _plain(axes, lang, "ratio")


def _column(lines: Sequence[dict[str, Any]], key: str) -> tuple[list[int], list[float]]:
    told = [line for line in lines if key in line]
    return [line["step"] for line in told], [line[key] for line in told]


def _draw_noisy(axes: Axes, x: Sequence[int], y: Sequence[float], colour: str, label: str | None = None) -> None:
    """Draw a noisy curve faintly and its running median over it."""
    size = len(x) // SMOOTHED
    if size < 2:
        axes.plot(x, y, color=colour, linewidth=2, label=label)
        return
    axes.plot(x, y, color=FAINT, linewidth=1)
    middle = [statistics.median(y[max(0, i - size) : i + size + 1]) for i in range(len(y))]
    axes.plot(x, middle, color=colour, linewidth=2, label=label)


def _plain(axes: Axes, lang: str, title: str) -> None:
    """Take away what tells nothing, and write the numbers of plain axes as the language does."""
    axes.set_title(_text(lang, title), fontsize=11, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(length=0, which="both")
    axes.grid(axis="y", color="#eeeeee", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_formatter(lambda value, _: _number(lang, value))
    if axes.get_yscale() == "linear":
        axes.yaxis.set_major_formatter(lambda value, _: _number(lang, value))


def _number(lang: str, value: float) -> str:
    """Return a number of a few digits with the decimal mark of the language.

    >>> _number("pt", 16000.0), _number("en", 0.25)
    ('16.000', '0.25')
    """
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.5g}"
    return text.translate(str.maketrans(",.", ".,")) if lang == "pt" else text
