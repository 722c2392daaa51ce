"""`dozero hello`: from nothing to new words in about a minute, or new stories in five, every stage in sight.

What is told of words stands in hello_words.py, what of stories in hello_stories.py: modules with the same functions.
"""

from __future__ import annotations

import time
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from dozero.cli.display import Display
    from dozero.cli.session import Job
    from dozero.device import Device
    from dozero.pipeline.stages import Prepared, Workspace
    from dozero.settings import RunConfig

LESSONS = ("words", "stories")
BABBLE_TOKENS = 40


def hello(
    what: str = typer.Argument("words", help="What to learn: words (a minute) or stories (five)."),
    lang: str | None = typer.Option(
        None, "--lang", help="Language of the words: pt, en, es, de... (default: your locale); of stories: pt or en."
    ),
    minutes: float | None = typer.Option(None, "--minutes", help="Spend this many minutes: chooses size and steps."),
    words: Path | None = typer.Option(None, "--words", help="Learn from this file, one word a line, instead."),
    out: Path | None = typer.Option(None, "--out", help="Folder to work in (default: dozero-words-<lang>)."),
    fresh: bool = typer.Option(False, "--fresh", help="Train anew, even if a trained model is there."),
    seed: int | None = typer.Option(None, "--seed", help="Source of all randomness (default 0)."),
    as_json: bool = typer.Option(False, "--json", help="Print events and results as JSON lines."),
) -> None:
    """Train a language model of words, or of stories, and print new ones. Again, it samples; --fresh trains anew."""
    began = time.perf_counter()
    from dozero.cli.language import narration, pick_language
    from dozero.cli.options import check_minutes
    from dozero.compiler import compile_ahead
    from dozero.errors import ConfigError

    if what not in LESSONS:
        raise ConfigError("hello cannot learn this", expected=" or ".join(LESSONS), got=repr(what), next="dozero hello")
    if what == "stories" and words is not None:
        raise ConfigError("words are not stories", where="--words", next="dozero hello words --words FILE")
    check_minutes(minutes)
    compile_ahead()
    code = pick_language(lang) if what == "words" else lang or narration(pick_language())
    folder = out or Path(f"dozero-{what}-{words.stem if words else code}")
    if not as_json:
        _tell_title(narration(code), what, code if words is None else words.name)
    from dozero.cli.display import Display  # imports torch, which takes a second: not before something is on screen

    with Display(narration(code), as_json=as_json) as display:
        job = _open(folder, what, lang and code, code, words, seed, fresh, minutes)
        if job.is_trained:
            _sample_again(display, _lesson(what), job, minutes)
        else:
            _train_and_tell(display, _lesson(what), job, minutes, began)


def _lesson(what: str) -> ModuleType:
    from dozero.cli import hello_stories, hello_words

    return {"words": hello_words, "stories": hello_stories}[what]


def _open(
    folder: Path,
    what: str,
    asked_lang: str | None,
    lang: str,
    words: Path | None,
    seed: int | None,
    fresh: bool,
    minutes: float | None,
) -> Job:
    """Return the job of the workspace, which the first call makes. A folder with another lesson is refused."""
    from dozero.cli.hello_stories import fewer_stories
    from dozero.cli.session import open_job
    from dozero.config import load_config
    from dozero.errors import ConfigError
    from dozero.pipeline.stages import DEFAULT_RUN
    from dozero.pipeline.workspace import RUN_FILE, write_workspace
    from dozero.stories.grammar import load_grammar

    file, overrides = folder / RUN_FILE, [] if seed is None else [f"seed={seed}"]
    source = None if words is None else str(words.resolve())
    if not file.exists():
        if words is not None:
            _check_readable(words)
        if what == "stories":
            load_grammar(lang)
        usual = load_config(preset=what, overrides=overrides)  # a mistake in them before anything is made
        stories = fewer_stories(usual.data.stories, minutes) if what == "stories" else None
        write_workspace(folder, what, lang, source, stories=stories)
    job = open_job(file, overrides, DEFAULT_RUN, fresh=fresh)
    data = job.config.data
    if data.kind != what:
        raise ConfigError(f"holds no {what}", where=folder, expected=what, got=data.kind, next="--out another-folder")
    asked, has = (source, data.source) if source else (asked_lang, None if data.source else data.lang)
    if asked and has and asked != has:
        raise ConfigError(f"holds other {what}", where=folder, expected=asked, got=has, next="--out another-folder")
    return job


def _check_readable(words: Path) -> None:
    """Raise DataError for a file without words before anything is made."""
    from dozero.corpus.words import read_word_file
    from dozero.errors import DataError

    if next(read_word_file(words), None) is None:
        raise DataError("holds no words", where=words, expected="a text file with one word a line")


def _train_and_tell(display: Display, lesson: ModuleType, job: Job, minutes: float | None, began: float) -> None:
    from dozero.cli.session import planned, prepare_and_show, ready_device, train_and_show
    from dozero.hardware import usable_cores
    from dozero.pipeline.stages import prepared

    config, workspace, plan = job.config, job.workspace, None
    device = ready_device(config)
    dtype = str(device.dtype).removeprefix("torch.")
    display.say("machine", device=device.type.upper(), threads=device.threads, dtype=dtype, seed=config.seed)
    data = prepare_and_show(display, job) if display.as_json else prepared(config, workspace, usable_cores())
    lesson.tell_data(display, data)
    lesson.tell_tokens(display, data)
    if minutes is not None:
        config, plan = planned(display, job, data, device, minutes, began - lesson.TELLING_S)
    _tell_model(display, config, data)
    lesson.tell_training(display, config, data)
    finished = train_and_show(display, job, config, data, device, indent=3, plan=plan)
    lesson.tell_exam(display, data, finished.heldout)
    lesson.tell_samples(display, config)
    lesson.show_samples(display, workspace, config, seed=0)
    _tell_next(display, workspace, config, time.perf_counter() - began)


def _sample_again(display: Display, lesson: ModuleType, job: Job, minutes: float | None) -> None:
    """Other samples at each call: how many were made before is counted in a file of the run."""
    from dozero.config import load_config
    from dozero.durable import explain_os_errors
    from dozero.errors import ConfigError

    workspace, config = job.workspace, job.config
    trained = load_config(workspace.run / "run.toml")
    if minutes is not None or trained.seed != config.seed:
        asked = f"--minutes {minutes:g}" if minutes is not None else f"--seed {config.seed}"
        raise ConfigError(f"is already trained, so {asked} would do nothing", where=workspace.run, next="--fresh")
    display.say(f"{config.data.kind}_again", path=str(workspace.run))
    counter = workspace.run / "sampled"
    text = counter.read_text(errors="replace") if counter.exists() else ""
    made = int(text) if text.isdecimal() else lesson.SAMPLES
    lesson.show_samples(display, workspace, config, seed=made)
    with explain_os_errors(counter):
        counter.write_text(str(made + lesson.SAMPLES))


def _tell_title(lang: str, what: str, source: str) -> None:
    from rich.console import Console

    from dozero import __version__
    from dozero.cli.messages import language_name, say

    Console(highlight=False, soft_wrap=True).print(
        say(lang, f"title_{what}", version=__version__, name=language_name(lang, source))
    )


def _tell_model(display: Display, config: RunConfig, data: Prepared) -> None:
    from dozero.cli.messages import number
    from dozero.cli.sections import head
    from dozero.generate.language_model import LanguageModel
    from dozero.train.learner import build_model

    shape, lang = config.model, display.lang
    model = build_model(config, data.tokenizer.vocab_size, _plain_device())
    params = sum(p.numel() for p in model.parameters())
    head(display, 3, "model")
    display.say(
        "model_shape", 3, params=number(lang, params), layers=shape.n_layers, width=shape.d_model, heads=shape.n_heads
    )
    generate = config.generate.model_copy(update={"max_tokens": min(config.generate.max_tokens, BABBLE_TOKENS)})
    babble = LanguageModel(model, data.tokenizer).generate(config=generate, seed=config.seed << 32)
    display.say("model_babble", 3, text=babble)
    head(display, 4, "training")


def _plain_device() -> Device:
    import torch

    from dozero.device import Device

    return Device("cpu", torch.float32, torch.get_num_threads())


def _tell_next(display: Display, workspace: Workspace, config: RunConfig, seconds: float) -> None:
    import shlex

    from rich.markup import escape

    root = workspace.root
    folder, run_file = shlex.quote(str(root)), shlex.quote(str(root / "run.toml"))
    other = "en" if display.lang == "pt" else "pt"
    display.line()
    display.say("saved", path=str(root), seconds=seconds)
    for command, key in (
        (f"dozero generate {folder} --why", "next_why"),
        (f"dozero train {run_file} model.n_layers={config.model.n_layers + 2} --name deeper", "next_deeper"),
        (f"dozero hello {config.data.kind} --lang {other}".replace(" words", ""), "next_other"),
    ):
        display.line(f"  [bold]{escape(command)}[/]")
        display.say(key, 6)
