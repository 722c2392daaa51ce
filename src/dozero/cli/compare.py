"""`dozero compare`: is the difference between models real?"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from dozero.cli.display import Display
    from dozero.eval.compare import Compared
    from dozero.eval.exams import Exam
    from dozero.generate.language_model import LanguageModel
    from dozero.pipeline.surroundings import Surroundings


def compare(
    runs: list[Path] = typer.Argument(
        help="Two or more workspaces, runs, checkpoints or models; the first is held against each."
    ),
    task: list[str] | None = typer.Option(
        None, "--task", help="A task file (TOML), a bundled task, heldout, pairs-pt or pairs-en; may be repeated."
    ),
    limit: int = typer.Option(2000, "--limit", min=0, help="Ask at most this many items of each task; 0: all."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON lines."),
) -> None:
    """Tell whether one model is better than another, or whether chance explains the difference.

    Both are asked the same items: text held out from both, minimal pairs in their language, or the tasks given. The
    items are drawn again and again for both alike (paired bootstrap). Bits per byte compare models of different
    tokenizers. Beside it stands what each took: parameters, tokens, time.
    """
    from dozero.cli.display import Display
    from dozero.cli.language import narration, pick_language
    from dozero.errors import ConfigError

    if len(runs) < 2:
        raise ConfigError("only one model", expected="two or more", next="dozero compare RUN RUN")
    with Display(narration(pick_language()), as_json=as_json) as display:
        for other in runs[1:]:
            _compare_two(display, runs[0], other, task or [], limit)


def _compare_two(display: Display, first: Path, second: Path, tasks: list[str], limit: int) -> None:
    from dozero.cli.evaluation_messages import tell
    from dozero.eval.compare import Compared, compare_models, compared_tree
    from dozero.eval.exams import Asking, Skipped
    from dozero.generate.language_model import LanguageModel
    from dozero.pipeline.stages import find_model

    folders = find_model(first), find_model(second)
    models = LanguageModel.open(folders[0]), LanguageModel.open(folders[1])
    names = tell_apart(first, second)
    display.line(tell(display.lang, "comparing", first=names[0], second=names[1]))
    exams, left_out = list_common_exams(models[0], folders, tasks, limit)
    if left_out:
        display.line(tell(display.lang, "left_out", count=left_out))
    for event in compare_models(*models, exams):
        if isinstance(event, Compared):
            if display.as_json:
                display.print_json({**compared_tree(event), "models": [str(first), str(second)]})
            _show(display, event, names)
        elif isinstance(event, Skipped):
            if display.as_json:
                display.print_json({"event": "Skipped", **vars(event)})
            display.line(tell(display.lang, "skipped", task=event.task, reason=event.reason))
        else:
            assert isinstance(event, Asking)
    _show_costs(display, folders, names)


def tell_apart(first: Path, second: Path) -> tuple[str, str]:
    """Return names of two folders: the parts of their paths in which they differ.

    >>> tell_apart(Path("ws/runs/a"), Path("ws/runs/b")), tell_apart(Path("x/main"), Path("y/main"))
    (('a', 'b'), ('x', 'y'))
    """
    pairs = list(zip_longest(first.parts, second.parts, fillvalue=""))
    one, other = ([p[side] for p in pairs if p[0] != p[1] and p[side]] for side in (0, 1))
    return "/".join(one) or str(first), "/".join(other) or str(second)


def list_common_exams(
    reader: LanguageModel, folders: tuple[Path, Path], tasks: list[str], limit: int
) -> tuple[list[Exam], int]:
    """Return what both models are to be asked, and how many held-out documents were left out as the second knows them.

    The held-out text is that of the first.
    """
    from dozero.dataset.shards import open_dataset
    from dozero.errors import ArtifactError
    from dozero.eval.compare import without_texts
    from dozero.eval.exams import HELDOUT, PAIRS, exam_of_pairs, exam_of_task, heldout_task
    from dozero.eval.minimal_pairs import PHENOMENA
    from dozero.eval.task import load_task
    from dozero.pipeline.surroundings import look_around

    around, other = look_around(folders[0]), look_around(folders[1])
    langs = [lang for lang in PHENOMENA if lang in around.languages and lang in (other.languages or around.languages)]
    default = [*([HELDOUT] if around.dataset else []), *(f"{PAIRS}-{lang}" for lang in langs)]
    pairs = {f"{PAIRS}-{lang}": lang for lang in PHENOMENA}
    exams, left_out = [], 0
    for name in tasks or default:
        if name in pairs:
            exams.append(exam_of_pairs(pairs[name]))
        elif name == HELDOUT:
            if around.dataset is None:
                raise ArtifactError(
                    "its dataset is no longer here", where=folders[0], next="another model first, or --task FILE"
                )
            heldout = heldout_task(open_dataset(around.dataset), reader.tokenizer, limit)
            heldout, left_out = without_texts(heldout, _known_to(other, around))
            exams.append(exam_of_task(heldout))
        else:
            exams.append(exam_of_task(load_task(name, limit, [HELDOUT, *pairs])))
    if not exams:
        raise ArtifactError(
            "nothing to compare them by: no dataset of the first is here, nor a language of both known",
            where=folders[0], next="dozero compare A B --task FILE",
        )  # fmt: skip
    return exams, left_out


def _known_to(other: Surroundings, around: Surroundings) -> Iterator[str]:
    """Yield the texts that the other model was trained on, where those may be held out from the first."""
    from dozero.artifact import read_manifest
    from dozero.pipeline.surroundings import training_documents
    from dozero.tokenizer.files import read_tokenizer_json

    place = other.corpus or other.dataset
    if place is None or other.dataset is None or other.dataset == around.dataset or other.run is None:
        return
    percent = float(read_manifest(other.dataset).config["heldout_percent"])
    tokenizer = read_tokenizer_json(other.run / "model" / "tokenizer.json")
    yield from (document.text for document in training_documents(place, tokenizer, percent))


def _show(display: Display, compared: Compared, names: tuple[str, str]) -> None:
    """Show both figures, the difference with its interval, and what it means."""
    from rich.markup import escape

    from dozero.cli.evaluation_messages import tell
    from dozero.eval.measure import measure_tree
    from dozero.eval.names import name_measure
    from dozero.train.report_evaluations import figure_of

    lang, interval = display.lang, compared.difference.interval
    trees = [measure_tree(measure) for measure in (compared.first, compared.second)]

    def figure(value: float) -> str:
        return figure_of(trees[0], compared.kind, lang, value)

    measure = name_measure(lang, compared.first.name)
    display.line()
    display.line(tell(lang, "compared_head", task=compared.task, items=compared.items, measure=measure))
    width = max(map(len, names))
    for name, tree in zip(names, trees, strict=True):
        told = "" if tree["low"] is None else tell(lang, "interval", low=figure(tree["low"]), high=figure(tree["high"]))
        display.line(f"  {escape(name.ljust(width))}  [bold]{figure(tree['value']):>9}[/]   [dim]{told}[/]")
    key = "difference" if compared.items > 1 else "difference_of_one"
    display.line(
        "  " + tell(lang, key, value=figure(interval.value), low=figure(interval.low), high=figure(interval.high))
    )
    better = compared.better
    if better is None:
        display.line("  " + tell(lang, "no_difference", p=compared.difference.p))
    else:
        display.line("  " + tell(lang, "real_difference", name=names[better == "second"], p=compared.difference.p))


def _show_costs(display: Display, folders: tuple[Path, Path], names: tuple[str, str]) -> None:
    """Show what each model took, what of it is equal, and where both were at equal tokens and at equal time."""
    from dataclasses import asdict

    from dozero.cli.evaluation_messages import tell
    from dozero.pipeline.costs import at_equal, cost_of, equal_costs

    lang = display.lang
    (one, facts), (other, other_facts) = map(cost_of, folders)
    equal = equal_costs(one, other)
    points = at_equal(facts, other_facts) if facts and other_facts else []
    if display.as_json:
        display.print_json(
            {
                "event": "Costs",
                "first": asdict(one),
                "second": asdict(other),
                "equal": equal,
                "at_equal": [asdict(p) for p in points],
            }
        )
    display.line()
    display.line(tell(lang, "costs", first=names[0], second=names[1]))
    for axis in ("parameters", "tokens", "seconds"):
        values = [getattr(cost, axis) for cost in (one, other)]
        shown = [
            tell(lang, "unknown") if value is None else tell(lang, f"cost_{axis}", value=value) for value in values
        ]
        note = "" if equal[axis] is None else tell(lang, "equal" if equal[axis] else "not_equal")
        display.line(f"  {tell(lang, f'axis_{axis}'):<14} {shown[0]:>16} {shown[1]:>16}   {note}")
    for point in points:
        display.line(
            "  " + tell(lang, f"at_equal_{point.axis}", amount=point.amount, one=point.first, other=point.second)
        )
