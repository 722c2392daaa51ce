"""`dozero train`: pretrain; the same command again continues."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from dozero.cli.display import Display
    from dozero.cli.session import Job
    from dozero.device import Device
    from dozero.train.team import Team


def train(
    run_file: Path = typer.Argument(Path("run.toml"), help="Settings of the workspace."),
    overrides: list[str] | None = typer.Argument(None, help="section.key=value ..., over the file."),
    name: str = typer.Option("main", "--name", help="Name of the run, in runs/."),
    minutes: float | None = typer.Option(None, "--minutes", help="Choose size and steps to take this many minutes."),
    dry_run: bool = typer.Option(
        False, "--dry-run", help="Say what would be trained and what it costs; train nothing."
    ),
    fresh: bool = typer.Option(False, "--fresh", help="Train anew, even if the run has begun."),
    strict: bool = typer.Option(
        False, "--strict", help="Do not continue where versions, threads or processor differ: other bits could come."
    ),
    allow_data_change: bool = typer.Option(
        False, "--allow-data-change", help="Continue on another dataset than the run began with; it is recorded."
    ),
    prove_resume: bool = typer.Option(
        False, "--prove-resume", help="Kill and continue a short copy of the run and tell whether any bit differs."
    ),
    kills: int = typer.Option(5, "--kills", min=1, help="With --prove-resume, how often the copy is killed."),
    as_json: bool = typer.Option(False, "--json", help="Print events as JSON lines."),
) -> None:
    """Train the model of a workspace; the same command again continues.

    Data that are out of date are made first.
    """
    execute(
        run_file, overrides or [], name, fresh=fresh, as_json=as_json, minutes=minutes, dry_run=dry_run,
        strict=strict, allow_data_change=allow_data_change, prove_kills=kills if prove_resume else None,
    )  # fmt: skip


def execute(
    run_file: Path,
    overrides: list[str],
    name: str,
    *,
    fresh: bool,
    as_json: bool,
    minutes: float | None = None,
    dry_run: bool = False,
    to: str = "model",
    strict: bool = False,
    allow_data_change: bool = False,
    prove_kills: int | None = None,
) -> None:
    """Bring the data of a workspace up to date and train, showing what happens."""
    began = time.perf_counter()
    from dozero.cli.options import check_minutes, check_stage
    from dozero.compiler import compile_ahead

    check_minutes(minutes)
    check_stage(to)
    if to == "model":
        compile_ahead()
    from dozero.cli.display import Display
    from dozero.cli.language import narration, pick_language
    from dozero.cli.session import follow_leader, open_job, prepare_up_to, ready_device
    from dozero.errors import ConfigError
    from dozero.train.team import join_team

    if "=" in str(run_file) and not run_file.exists():  # `dozero train train.steps=9`: no file named, run.toml is meant
        run_file, overrides = Path("run.toml"), [str(run_file), *overrides]
    with Display(narration(pick_language()), as_json=as_json) as display:
        job = open_job(run_file, overrides, name, fresh=fresh, strict=strict, allow_data_change=allow_data_change)
        if to != "model":
            prepare_up_to(display, job, to)
            return
        device = ready_device(job.config)
        if prove_kills is not None and device.world_size > 1:
            raise ConfigError(
                "the proof kills and continues one process, not a team", where="--prove-resume",
                got=f"{device.world_size} processes", next="dozero train --prove-resume, without torchrun",
            )  # fmt: skip
        with join_team(job.config.train, device) as team:
            if team is not None and team.rank:
                follow_leader(job, team, device)
            else:
                _lead(display, job, device, team, minutes, began, dry_run=dry_run, prove_kills=prove_kills)


def _lead(
    display: Display,
    job: Job,
    device: Device,
    team: Team | None,
    minutes: float | None,
    began: float,
    *,
    dry_run: bool,
    prove_kills: int | None,
) -> None:
    """Make the data, train and tell the result: what a process does alone or for its team."""
    from dozero.cli.cost import show_cost
    from dozero.cli.proof import prove_and_show
    from dozero.cli.session import planned, prepare_and_show, train_and_show

    config, plan = job.config, None
    data = prepare_and_show(display, job)
    if prove_kills is not None:
        prove_and_show(display, job, data, prove_kills)
        return
    if minutes is not None:
        config, plan = planned(display, job, data, device, minutes, began, team.size if team else 1)
    if dry_run:
        show_cost(display, config, data, device)
        return
    finished = train_and_show(display, job, config, data, device, team=team, plan=plan)
    by_character, heldout = config.tokenizer.kind == "char", finished.heldout
    display.say(
        "finished" if by_character else "finished_bytes", path=str(finished.model), steps=finished.step,
        bits=heldout.bits_per_character if by_character else heldout.bits_per_byte, seconds=finished.seconds,
    )  # fmt: skip
