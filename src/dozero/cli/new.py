"""`dozero new`: a workspace with a run.toml to change."""

from __future__ import annotations

import shlex
from pathlib import Path

import typer


def new(
    folder: Path = typer.Argument(help="Folder to make."),
    preset: str = typer.Option("words", "--preset", help="Settings to start from."),
    lang: str | None = typer.Option(None, "--lang", help="Language of the words or stories, such as pt or en."),
    source: str | None = typer.Option(
        None, "--source", help="Text to learn from: a file, folder, glob, URL, hf://owner/name or catalog name."
    ),
    licence: str | None = typer.Option(None, "--licence", help="Its licence, such as CC-BY-4.0, or own."),
) -> None:
    """Make a workspace: a folder with a run.toml to change and run."""
    from dozero.cli.language import narration, pick_language
    from dozero.cli.messages import say
    from dozero.pipeline.workspace import write_workspace

    if source is not None and "://" not in source and Path(source).exists():
        source = str(Path(source).resolve())  # the workspace may be run from anywhere
    file = write_workspace(folder, preset, pick_language(lang), source, licence)
    typer.echo(say(narration(pick_language(lang)), "new_made", file=file))
    typer.echo(f"  dozero run {shlex.quote(str(file))}")
