"""`dozero run`: every stage that is out of date."""

from __future__ import annotations

from pathlib import Path

import typer


def run(
    run_file: Path = typer.Argument(Path("run.toml"), help="Settings of the workspace."),
    overrides: list[str] | None = typer.Argument(None, help="section.key=value ..., over the file."),
    name: str = typer.Option("main", "--name", help="Name of the run, in runs/."),
    to: str = typer.Option(
        "model", "--to", help="Last stage to bring up to date: corpus, tokenizer, dataset or model."
    ),
    fresh: bool = typer.Option(False, "--fresh", help="Train anew, even if the run has begun."),
    as_json: bool = typer.Option(False, "--json", help="Print events as JSON lines."),
) -> None:
    """Bring every stage of a workspace up to date, training included unless --to names an earlier one."""
    from dozero.cli.train import execute

    execute(run_file, overrides or [], name, fresh=fresh, as_json=as_json, to=to)
