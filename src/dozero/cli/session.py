"""What the verbs that train share: settings from file and command line, the device, and the run itself."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from dozero.cli.display import Display, command_line, show_stop
from dozero.cli.language import narration
from dozero.cli.plan_view import tell_outcome, tell_plan
from dozero.cli.signals import stop_on_signals
from dozero.config import load_config
from dozero.dataset.shards import open_dataset
from dozero.device import Device, apply_device, pick_device
from dozero.errors import DozeroError, Interrupted
from dozero.hardware import usable_cores
from dozero.pipeline.events import StageDone
from dozero.pipeline.stages import Prepared, Workspace, prepare
from dozero.pipeline.workspace import RUN_FILE
from dozero.settings import RunConfig
from dozero.train.events import Finished, Stopped
from dozero.train.follow import follow
from dozero.train.foretold import keep_foretold
from dozero.train.loop import clear_run, train
from dozero.train.memory import explain_memory_errors
from dozero.train.plan import Plan, plan_minutes
from dozero.train.report import REPORT, write_run_report
from dozero.train.sinks import check_sinks, pass_through
from dozero.train.team import Team, announce, await_announcement


@dataclass(frozen=True)
class Job:
    """What a verb was asked to train: a workspace, the settings from its file and from the command line."""

    workspace: Workspace
    config: RunConfig
    overrides: list[str]
    fresh: bool
    """Train anew. What is there is deleted only when training is about to begin, with everything else in order."""
    strict: bool = False
    """Refuse to go on where the bits may differ."""
    allow_data_change: bool = False
    """Go on with another dataset than the run began with."""

    @property
    def begun(self) -> Path | None:
        """The settings of the run that this job continues, if there is one."""
        file = self.workspace.run / RUN_FILE
        return file if file.exists() and not self.fresh else None

    @property
    def is_trained(self) -> bool:
        """Whether the run that this job continues is complete."""
        return self.begun is not None and (self.workspace.run / "model").is_dir()


def open_job(
    file: Path,
    overrides: list[str],
    name: str,
    *,
    fresh: bool,
    strict: bool = False,
    allow_data_change: bool = False,
) -> Job:
    """Return the job of a run.toml (or the folder that holds one) with overrides on top."""
    if file.is_dir():
        file = file / RUN_FILE
    return Job(Workspace(file.parent, name), load_config(file, overrides), overrides, fresh, strict, allow_data_change)


def ready_device(config: RunConfig) -> Device:
    """Return the device of the settings, applied to this process."""
    threads = config.train.threads or bool(config.train.verify_slots)  # the same bits take as many threads anywhere
    device = pick_device(config.train.device, config.train.dtype, int(threads))
    apply_device(device)
    return device


def prepare_and_show(display: Display, job: Job) -> Prepared:
    """Bring the data up to date, showing each stage as it is done."""
    for stage in prepare(job.config, job.workspace, usable_cores()):
        if isinstance(stage, Prepared):
            return stage
        display.show(stage)
    raise AssertionError("prepare ends with what it prepared")


def prepare_up_to(display: Display, job: Job, last: str) -> None:
    """Bring the data up to date as far as the stage `last`, showing each stage as it is done."""
    for event in prepare(job.config, job.workspace, usable_cores()):
        if isinstance(event, Prepared):
            return
        display.show(event)
        if isinstance(event, StageDone) and event.stage == last:
            return


def planned(
    display: Display, job: Job, data: Prepared, device: Device, minutes: float, began: float, processes: int = 1
) -> tuple[RunConfig, Plan | None]:
    """Return the settings of the run already begun here, else those that fill the minutes with their plan, which is told.

    Overrides are held against a run already begun when training claims it; in a plan they stay as they were given.
    """
    if job.begun is not None:
        return load_config(job.begun, job.overrides), None
    plan = plan_minutes(
        job.config, data.dataset, device, minutes * 60, time.perf_counter() - began, processes=processes,
        kept=frozenset(text.partition("=")[0].strip() for text in job.overrides),
    )  # fmt: skip
    tell_plan(display, plan, data.dataset.heldout, by_character=job.config.tokenizer.kind == "char")
    return plan.config, plan


def follow_leader(job: Job, team: Team, device: Device) -> None:
    """Take part in what the leader trains, once it has the data; a signal is the leader's to obey."""
    settings = await_announcement(team)
    if not settings:  # it had nothing to train, or could not
        return
    config = RunConfig.model_validate_json(settings)
    with stop_on_signals() as stop, explain_memory_errors(config, job.workspace.run):
        follow(config, open_dataset(job.workspace.dataset), device, team)
    if stop():
        raise Interrupted(stop.exit_code)


def train_and_show(
    display: Display,
    job: Job,
    config: RunConfig,
    data: Prepared,
    device: Device,
    indent: int = 0,
    team: Team | None = None,
    plan: Plan | None = None,
) -> Finished:
    """Train to the end, showing events; a signal saves, tells how to go on and raises Interrupted.

    What the plan foretold is kept with the run, and compared at its end.
    """
    workspace, begun, last = job.workspace, None, None
    display.token_kind = config.tokenizer.kind
    check_sinks(config.train.log_to)
    if job.fresh and workspace.run.exists():
        clear_run(workspace.run)
    if plan is not None:
        keep_foretold(plan, workspace.run)
    announce(team, config.model_dump_json())
    with stop_on_signals() as stop:
        events = train(
            config, data.dataset, data.tokenizer, workspace.run, device, should_stop=stop,
            strict=job.strict, allow_data_change=job.allow_data_change, team=team,
        )  # fmt: skip
        for event in pass_through(events, config.train.log_to, workspace.run):
            begun, last = begun or event, event
            display.show(event, indent)
    if isinstance(last, Stopped):
        show_stop(display, last)
        raise Interrupted(stop.exit_code)
    assert begun is not None
    assert isinstance(last, Finished)
    if begun.step < last.step or not (workspace.run / REPORT).is_file():
        tell_outcome(display, workspace.run, last, indent)
        report_and_tell(display, workspace.run, device, indent)
    return last


def report_and_tell(display: Display, run: Path, device: Device, indent: int) -> None:
    """Write the report of a finished run and name it; what goes wrong here is told, and costs no trained model."""
    try:
        report = write_run_report(run, device, narration(display.lang), command_line())
    except DozeroError as error:
        display.say("report_not_made", indent, reason=str(error))
        return
    if display.as_json:
        display.print_json({"event": "Reported", "path": str(report)})
    display.say("report_made", indent, path=str(report))
