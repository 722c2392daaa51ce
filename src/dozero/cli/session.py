"""What the verbs that train share: settings from file and command line, the device, and the run itself."""

from __future__ import annotations

import time
from pathlib import Path

from dozero.cli.display import Display, show_stop
from dozero.cli.messages import number
from dozero.cli.signals import stop_on_signals
from dozero.config import RunConfig, load_config
from dozero.device import Device, apply_device, pick_device
from dozero.errors import Interrupted
from dozero.pipeline.stages import Prepared, Workspace, prepare
from dozero.train.events import Event, Finished, Stopped
from dozero.train.loop import clear_run, train
from dozero.train.plan import plan_minutes

MOST_EPOCHS = 8  # past this the held-out loss stopped falling on words (JOURNAL.md)


def settings_of(file: Path, overrides: list[str], name: str, *, fresh: bool) -> tuple[Workspace, RunConfig]:
    """Return the workspace around a run.toml and its settings; with `fresh` the run there is cleared."""
    config = load_config(file, overrides)
    workspace = Workspace(file.parent, name)
    if fresh and workspace.run.exists():
        clear_run(workspace.run)
    return workspace, config


def ready_device(config: RunConfig) -> Device:
    """Return the device of the settings, applied to this process."""
    device = pick_device(config.train.device, config.train.dtype, config.train.threads)
    apply_device(device)
    return device


def prepare_and_show(display: Display, config: RunConfig, workspace: Workspace) -> Prepared:
    """Bring the data up to date, showing each stage as it is done."""
    for stage in prepare(config, workspace):
        if isinstance(stage, Prepared):
            return stage
        display.show(stage)
    raise AssertionError("prepare ends with what it prepared")


def planned(
    display: Display,
    config: RunConfig,
    workspace: Workspace,
    data: Prepared,
    device: Device,
    minutes: float,
    began: float,
) -> RunConfig:
    """Return the settings of the run already begun here, else those that fill the minutes, and tell the plan."""
    begun = workspace.run / "run.toml"
    if begun.exists():
        return load_config(begun)
    plan = plan_minutes(config, data.dataset, device, minutes * 60, time.perf_counter() - began)
    steps = round(plan.config.train.max_seconds / plan.step_s)
    shape = plan.config.model
    display.say(
        "plan", 3, steps=number(display.lang, steps), batch=number(display.lang, config.train.batch_tokens),
        layers=shape.n_layers, width=shape.d_model, seconds=plan.seconds,
    )  # fmt: skip
    if plan.epochs > MOST_EPOCHS:
        display.say("plan_full", 3, epochs=plan.epochs, most=MOST_EPOCHS)
    return plan.config


def train_and_show(
    display: Display, config: RunConfig, data: Prepared, workspace: Workspace, device: Device, indent: int = 0
) -> Finished:
    """Train to the end, showing events; a signal saves, tells how to go on and raises Interrupted."""
    last: Event | None = None
    with stop_on_signals() as stop:
        for event in train(config, data.dataset, data.tokenizer, workspace.run, device, should_stop=stop):
            last = event
            display.show(event, indent)
    if isinstance(last, Stopped):
        show_stop(display, last)
        raise Interrupted(stop.exit_code)
    assert isinstance(last, Finished)
    return last
