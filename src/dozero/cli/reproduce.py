"""`dozero reproduce`: a run trained again from its own records, and compared bit for bit."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from dozero.cli.display import Display
    from dozero.pipeline.reproduce import Reproduced


def reproduce(
    run: Path = typer.Argument(help="Folder of a finished run, or a workspace, whose run main is meant."),
    out: Path | None = typer.Option(
        None, "-o", "--out", help="Workspace to train it in again; without it, one that is deleted if all is equal."
    ),
    from_text: bool = typer.Option(
        False, "--from-text", help="Make corpus, tokenizer and dataset again, too, and compare each."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print events as JSON lines."),
) -> None:
    """Train a finished run again and tell whether the weights are the same, bit for bit.

    The settings are those in the manifest of its model. The first difference is named, if there is one, and what of
    this machine is not as it was then.
    """
    from dozero.cli.display import Display
    from dozero.cli.language import narration, pick_language
    from dozero.durable import explain_os_errors
    from dozero.pipeline.reproduce import check_reproduced, read_record
    from dozero.train.run_facts import find_run

    place = find_run(run)
    record = read_record(place)
    if out is not None:
        _check_out(out, place)
    with Display(narration(pick_language()), as_json=as_json) as display:
        with explain_os_errors(place.parent):
            folder = out or Path(tempfile.mkdtemp(prefix=".again-", dir=place.parent))
        result = None
        try:
            result = _again(display, record, folder, from_text=from_text)
        finally:
            if out is None and (result is None or result.is_identical):
                shutil.rmtree(folder, ignore_errors=True)
    assert result is not None
    check_reproduced(result)


def _check_out(out: Path, run: Path) -> None:
    """Raise ArtifactError for a folder of somebody else's, and for the workspace of the run itself."""
    from dozero.artifact import check_replaceable
    from dozero.errors import ArtifactError

    if (out / "runs" / run.name).resolve() == run.resolve():
        raise ArtifactError("is the workspace of the run itself", where=out, expected="another folder")
    if not (out / "runs").is_dir():
        check_replaceable(out, "workspace")


def _again(display: Display, record: object, folder: Path, *, from_text: bool) -> Reproduced:
    """Train again, showing what happens, and tell what came of it."""
    from dozero.cli.evaluation_messages import tell
    from dozero.hardware import usable_cores
    from dozero.pipeline.reproduce import Record, Reproduced, StageCompared, device_of, reproduce

    assert isinstance(record, Record)
    display.token_kind = record.config.tokenizer.kind
    display.line(
        tell(
            display.lang,
            "again",
            run=str(record.run),
            steps=record.manifest.counts["step"],
            seconds=record.manifest.seconds,
        )
    )
    device = device_of(record)
    for event in reproduce(record, folder, device, usable_cores(), from_text=from_text):
        if isinstance(event, Reproduced):
            _show(display, event)
            return event
        if isinstance(event, StageCompared):
            if display.as_json:
                display.print_json({"event": "StageCompared", **vars(event)})
            key = "stage_same" if event.is_same else "stage_differs"
            display.line(tell(display.lang, key, stage=tell(display.lang, f"stage_{event.stage}")))
        else:
            display.show(event)
    raise AssertionError("reproduce ends with what came of it")


def _show(display: Display, result: Reproduced) -> None:
    from dataclasses import asdict

    from dozero.cli.evaluation_messages import tell

    lang = display.lang
    if display.as_json:
        display.print_json({"event": "Reproduced", **asdict(result), "identical": result.is_identical})
    display.line(tell(lang, "weights_then", sha256=result.sha256))
    display.line(tell(lang, "weights_again", sha256=result.sha256_again))
    if result.machine is None:
        display.line(tell(lang, "machine_unknown"))
    elif not result.machine:
        display.line(tell(lang, "machine_same"))
    for what in result.machine or ():
        display.line(tell(lang, "machine_differs", what=what))
    if result.is_identical:
        display.line(tell(lang, "identical", steps=result.steps))
    elif result.difference is not None:
        d = result.difference
        display.line(
            tell(lang, "different", file=d.file, step=d.step, where=d.where, then=d.undisturbed, again=d.killed)
        )
