"""`dozero inspect`: what a folder is, what made it, and whether it is intact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer


def inspect(
    path: Path = typer.Argument(help="A workspace, run, corpus, tokenizer, dataset, checkpoint or model folder."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Explain any folder that dozero wrote.

    What it is, what it was made from, how much it holds, whether it is intact.
    """
    import json

    from dozero.pipeline.report import describe

    tree = describe(path)
    if as_json:
        typer.echo(json.dumps(tree, ensure_ascii=False, default=str))
    else:
        for line in _as_lines(tree):
            typer.echo(line)


def _as_lines(tree: dict[str, Any], indent: int = 0) -> list[str]:
    """Return nested facts as indented lines."""
    lines = []
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            lines += [f"{' ' * indent}{key}:", *_as_lines(value, indent + 2)]
        elif value not in ({}, [], None, ""):
            shown = ", ".join(str(v) for v in value) if isinstance(value, list) else value
            lines.append(f"{' ' * indent}{key}: {shown}")
    return lines
