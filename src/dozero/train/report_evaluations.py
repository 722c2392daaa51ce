"""The part of report.md and of the model card that tells what `dozero eval` found, and its replacement after a new one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from dozero.durable import write_whole
from dozero.errors import ArtifactError
from dozero.eval.names import format_of, name_measure
from dozero.eval.results import Result, evaluations_of, identify_model, read_results
from dozero.train.figures import shown

BEGIN, END = "<!-- evaluations -->", "<!-- /evaluations -->"
COPIES_SHOWN, COPY_SHOWN = 5, 200
# Under each key: Portuguese, then English.
TEXT: dict[str, tuple[str, str]] = {
    "title": ("## Avaliações", "## Evaluations"),
    "none": ("Nenhuma ainda: `dozero eval {run}` as faz.", "None yet: `dozero eval {run}` makes them."),
    "head": ("| tarefa | medida | valor | 95% | acaso |", "| task | measure | value | 95% | chance |"),
    "better": ("{chance}", "{chance}"),
    "at_chance": ("{chance}, **no acaso**", "{chance}, **at chance**"),
    "worse": ("{chance}, **pior que o acaso**", "{chance}, **worse than chance**"),
    "items": ("{task} ({items:,})", "{task} ({items:,})"),
    "copies": (
        "Trechos de {shortest} ou mais caracteres que estão, letra por letra, no texto de treino: **{count:,}** (em "
        "{documents:,} documentos).",
        "Passages of {shortest} or more characters that stand word for word in the training text: **{count:,}** (in "
        "{documents:,} documents).",
    ),
    "copy": (
        "* {characters:,} caracteres, de `{source}` ({licence}): {text}",
        "* {characters:,} characters, from `{source}` ({licence}): {text}",
    ),
    "unknown": ("licença desconhecida", "licence unknown"),
}


def _say(lang: str, key: str, **values: object) -> str:
    return TEXT[key][0 if lang == "pt" else 1].format(**{name: shown(value, lang) for name, value in values.items()})


def figure_of(measure: dict[str, Any], kind: str, lang: str, value: float | None = None) -> str:
    """Return a measure, or another value of its kind, as it is read: a share in per cent, bits with four decimals."""
    number = measure["value"] if value is None else value
    return format(shown(number, lang), format_of(measure["name"], kind))


def evaluation_lines(results: Sequence[Result], lang: str, run: str) -> Iterator[str]:
    """Yield the section of evaluations: a table of figures with intervals, then the passages copied."""
    yield from (BEGIN, _say(lang, "title"), "")
    if not results:
        yield from (_say(lang, "none", run=run), "")
    else:
        yield from (_say(lang, "head"), "|---|---|---:|---|---|")
    for result in results:
        for place, measure in enumerate(result.measures):
            task = _say(lang, "items", task=result.task, items=result.items) if place == 0 else ""
            yield f"| {task} | {' | '.join(_row(measure, result.kind, lang))} |"
    if results:
        yield ""
    for result in results:
        yield from _copy_lines(result.details, lang)
    yield END


def _row(measure: dict[str, Any], kind: str, lang: str) -> tuple[str, str, str, str]:
    interval = chance = ""
    if measure["low"] is not None:
        interval = (
            f"{figure_of(measure, kind, lang, measure['low'])} – {figure_of(measure, kind, lang, measure['high'])}"
        )
    if measure.get("chance") is not None:
        chance = figure_of(measure, kind, lang, measure["chance"])
        chance = _say(lang, measure["verdict"], chance=chance)
    return name_measure(lang, measure["name"]), figure_of(measure, kind, lang), interval, chance


def _copy_lines(details: dict[str, Any], lang: str) -> Iterator[str]:
    if "copies" not in details:
        return
    copies, facts = details["copies"], {"shortest": details["shortest"], "documents": details["documents"]}
    yield from (_say(lang, "copies", count=len(copies), **facts), "")
    for copy in copies[:COPIES_SHOWN]:
        told = {
            **copy,
            "text": " ".join(copy["text"].split())[:COPY_SHOWN],
            "licence": copy["licence"] or _say(lang, "unknown"),
        }
        yield _say(lang, "copy", **told)
    if copies:
        yield ""


def run_results(run: Path) -> list[Result]:
    """Return the evaluations kept of the finished model of a run."""
    model = run / "model"
    with suppress(ArtifactError):
        return read_results(evaluations_of(model), identify_model(model))
    return []


def update_report(run: Path, lang: str) -> bool:
    """Put the evaluations kept of a run into its report.md, in its language; return whether there is a report to put them in."""
    report = run / "report.md"
    if not report.is_file():
        return False
    page = report.read_text(encoding="utf-8")
    lang = (
        "pt" if page.startswith("# Relatório") else lang if lang == "pt" and not page.startswith("# Report") else "en"
    )
    new = replace_section(page, "\n".join(evaluation_lines(run_results(run), lang, str(run))))
    if new is not None:
        write_whole(report, new)
    return new is not None


def replace_section(page: str, section: str) -> str | None:
    """Return the page with its section of evaluations replaced; None if it has no place for one.

    >>> replace_section(f"a {BEGIN} old {END} b", "new")
    'a new b'
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    return before + section + after if begin and end else None
