"""`dozero eval`: how good a model is, with intervals, and what of its texts is copied."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from dozero.cli.display import Display
    from dozero.eval.exams import Exam
    from dozero.generate.language_model import LanguageModel
    from dozero.pipeline.surroundings import Surroundings

HELDOUT_DOCUMENTS, SAMPLES = 2000, 20


def evaluate(
    run: Path | None = typer.Argument(None, help="A workspace, run, checkpoint or model folder."),
    tasks: list[str] | None = typer.Argument(
        None, metavar="[TASK]...", help="Task files (TOML), bundled tasks, heldout, pairs-pt or pairs-en."
    ),
    samples: int | None = typer.Option(
        None, "--samples", min=0, help="Let it write this many texts and tell what is copied or repeated."
    ),
    against: Path | None = typer.Option(
        None, "--against", help="Corpus or dataset to look for copies in, if not the one it learned from."
    ),
    limit: int | None = typer.Option(None, "--limit", min=0, help="Ask at most this many items of each task; 0: all."),
    seed: int = typer.Option(0, "--seed", help="Same seed, same samples."),
    list_tasks: bool = typer.Option(False, "--list", help="List the bundled tasks."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON lines."),
) -> None:
    """Measure a model: bits per byte on text it never saw, tasks, minimal pairs, copies.

    Every figure has a 95% interval, and what guessing would get beside it. With no task named: held-out text, minimal pairs
    in its language, and 20 samples. Results are kept beside the model, and enter the report of its run.
    """
    from dozero.cli.display import Display
    from dozero.cli.language import narration, pick_language
    from dozero.errors import ConfigError

    with Display(narration(pick_language()), as_json=as_json) as display:
        if list_tasks:
            _list_tasks(display)
            return
        if run is None:
            raise ConfigError("no model given", expected="a workspace, run or model folder", next="dozero eval FOLDER")
        _measure(display, run, tasks or [], samples, against, limit, seed)


def _list_tasks(display: Display) -> None:
    from dozero.cli.evaluation_messages import tell
    from dozero.eval.minimal_pairs import PHENOMENA
    from dozero.eval.task import BUNDLED, list_tasks, read_task_config

    tasks = {name: read_task_config(BUNDLED / f"{name}.toml") for name in list_tasks()}
    rows = [(name, config.kind, config.about) for name, config in tasks.items()]
    rows += [(f"pairs-{lang}", "pairs", tell(display.lang, "about_pairs")) for lang in PHENOMENA]
    for name, kind, about in rows:
        if display.as_json:
            display.print_json({"name": name, "kind": kind, "about": about})
        display.line(tell(display.lang, "list_task", name=name, kind=kind, about=about))


def _measure(
    display: Display,
    path: Path,
    tasks: list[str],
    samples: int | None,
    against: Path | None,
    limit: int | None,
    seed: int,
) -> None:
    """Ask everything that is asked for, show what came of it, and put it into the report of the run."""
    from dozero.cli.evaluation_messages import tell
    from dozero.cli.evaluation_view import show_result
    from dozero.eval.exams import Asking, Skipped, run_exams
    from dozero.eval.results import evaluations_of
    from dozero.generate.language_model import LanguageModel
    from dozero.pipeline.stages import find_model
    from dozero.pipeline.surroundings import look_around
    from dozero.train.card import update_card
    from dozero.train.report_evaluations import run_results, update_report

    folder = find_model(path)
    around = look_around(folder)
    model = LanguageModel.open(folder)
    exams = list_exams(model, around, folder, tasks, samples, against, limit, seed)
    if not tasks and around.dataset is None:
        display.line(tell(display.lang, "no_data"))
    if not exams:
        display.line(tell(display.lang, "nothing"))
    for event in run_exams(model, folder, exams, display.lang, evaluations_of(folder)):
        if display.as_json and not isinstance(event, Asking):
            display.print_json({"event": "Skipped" if isinstance(event, Skipped) else "Evaluated", **vars(event)})
        elif isinstance(event, Asking):
            _note(display, event.task)
        elif isinstance(event, Skipped):
            display.line(tell(display.lang, "skipped", task=event.task, reason=event.reason))
        else:
            show_result(display, event)
    display.line()
    display.line(tell(display.lang, "kept_in", path=str(evaluations_of(folder))))
    if around.run is not None and folder == around.run / "model":
        update_card(folder, run_results(around.run))
        if update_report(around.run, display.lang):
            display.line(tell(display.lang, "report_updated", path=str(around.run / "report.md")))


def _note(display: Display, task: str) -> None:
    """Say on a terminal what is being measured; into a file or a pipe go results alone."""
    from dozero.cli.evaluation_messages import tell

    if sys.stderr.isatty() and not display.as_json:
        typer.echo(tell(display.lang, "asking", task=task), err=True)


def list_exams(
    model: LanguageModel,
    around: Surroundings,
    folder: Path,
    tasks: list[str],
    samples: int | None,
    against: Path | None,
    limit: int | None,
    seed: int,
) -> list[Exam]:
    """Return what a model is to be asked; with no task named, what every model is."""
    from dozero.dataset.shards import open_dataset
    from dozero.errors import ArtifactError
    from dozero.eval.exams import HELDOUT, PAIRS, exam_of_pairs, exam_of_task, heldout_task
    from dozero.eval.minimal_pairs import PHENOMENA
    from dozero.eval.task import load_task

    pairs = {f"{PAIRS}-{lang}": lang for lang in PHENOMENA}
    default = [
        *([HELDOUT] if around.dataset else []),
        *(f"{PAIRS}-{lang}" for lang in around.languages if lang in PHENOMENA),
    ]
    exams = []
    for name in tasks or default:
        if name in pairs:
            exams.append(exam_of_pairs(pairs[name]))
        elif name == HELDOUT:
            if around.dataset is None:
                raise ArtifactError("its dataset is no longer here", where=folder, next=f"dozero eval {folder} FILE")
            most = HELDOUT_DOCUMENTS if limit is None else limit
            exams.append(exam_of_task(heldout_task(open_dataset(around.dataset), model.tokenizer, most)))
        else:
            exams.append(exam_of_task(load_task(name, limit or 0, [HELDOUT, *pairs])))
    count = (0 if tasks else SAMPLES) if samples is None else samples
    if count:
        exams.append(_samples_exam(model, around, folder, against, count, seed))
    return exams


def _samples_exam(
    model: LanguageModel, around: Surroundings, folder: Path, against: Path | None, count: int, seed: int
) -> Exam:
    """Return the exam of samples, held against the corpus, or else the dataset, that the model learned from."""
    from dozero.artifact import read_manifest
    from dozero.eval.exams import exam_of_samples
    from dozero.pipeline.stages import generate_settings
    from dozero.pipeline.surroundings import training_documents

    place = against or around.corpus or around.dataset
    settings = generate_settings(folder, {})
    if place is None:
        return exam_of_samples(count, settings, seed, None, {})
    percent = 0.0
    if against is None and around.dataset is not None:
        percent = float(read_manifest(around.dataset).config["heldout_percent"])
    fingerprint = read_manifest(place).fingerprint
    return exam_of_samples(
        count, settings, seed, lambda: training_documents(place, model.tokenizer, percent), {"against": fingerprint}
    )
