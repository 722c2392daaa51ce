"""`dozero new`: a workspace with a run.toml to change."""

from __future__ import annotations

import shlex
from pathlib import Path

import typer


def new(
    folder: Path = typer.Argument(help="Folder to make."),
    preset: str = typer.Option("words", "--preset", help="Settings to start from."),
    lang: str | None = typer.Option(None, "--lang", help="Language of the words, such as pt, en, es or de."),
) -> None:
    """Make a workspace: a folder with a run.toml to change and run."""
    from dozero.cli.language import narration, pick_language
    from dozero.cli.messages import say
    from dozero.pipeline.workspace import write_workspace

    file = write_workspace(folder, preset, pick_language(lang))
    typer.echo(say(narration(pick_language(lang)), "new_made", file=file))
    typer.echo(f"  dozero run {shlex.quote(str(file))}")
