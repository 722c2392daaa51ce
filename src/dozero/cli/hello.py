"""`dozero hello`: from nothing to new words in about a minute, every stage in sight."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from dozero.cli.display import Display
    from dozero.cli.session import Job
    from dozero.settings import RunConfig
    from dozero.device import Device
    from dozero.eval.likelihood import Surprise
    from dozero.pipeline.stages import Prepared, Workspace

WORDS_SHOWN = 10
REASONS_SHOWN = 3
ALPHABET_SHOWN = 60
BAR_WIDTH = 40


def hello(
    what: str = typer.Argument("words", help="What to learn: words."),
    lang: str | None = typer.Option(
        None, "--lang", help="Language of the words: pt, en, es, de... (default: your locale)."
    ),
    minutes: float | None = typer.Option(None, "--minutes", help="Spend this many minutes: chooses size and steps."),
    words: Path | None = typer.Option(None, "--words", help="Learn from this file, one word a line, instead."),
    out: Path | None = typer.Option(None, "--out", help="Folder to work in (default: dozero-words-<lang>)."),
    fresh: bool = typer.Option(False, "--fresh", help="Train anew, even if a trained model is there."),
    seed: int | None = typer.Option(None, "--seed", help="Source of all randomness (default 0)."),
    as_json: bool = typer.Option(False, "--json", help="Print events and results as JSON lines."),
) -> None:
    """Train a language model of words and print ten new ones. Running it again samples; --fresh trains anew."""
    began = time.perf_counter()
    from dozero.cli.language import narration, pick_language
    from dozero.cli.options import check_minutes
    from dozero.errors import ConfigError

    if what != "words":
        raise ConfigError("hello cannot learn this", expected="words", got=repr(what), next="dozero hello words")
    check_minutes(minutes)
    code = pick_language(lang)
    folder = out or Path(f"dozero-words-{words.stem if words else code}")
    if not as_json:
        _tell_title(narration(code), code if words is None else words.name)
    from dozero.cli.display import Display  # imports torch, which takes a second: not before something is on screen

    with Display(narration(code), as_json=as_json) as display:
        job = _open(folder, lang and code, words, seed, fresh)
        if job.is_trained:
            _sample_again(display, job, minutes)
        else:
            _train_and_tell(display, job, minutes, began)


def _open(folder: Path, lang: str | None, words: Path | None, seed: int | None, fresh: bool) -> Job:
    """Return the job of the workspace, which the first call makes. A folder with other words is refused."""
    from dozero.cli.language import pick_language
    from dozero.cli.session import open_job
    from dozero.config import load_config
    from dozero.errors import ConfigError
    from dozero.pipeline.stages import DEFAULT_RUN
    from dozero.pipeline.workspace import RUN_FILE, write_workspace

    file, overrides = folder / RUN_FILE, [] if seed is None else [f"seed={seed}"]
    source = None if words is None else str(words.resolve())
    if not file.exists():
        if words is not None:
            _check_readable(words)
        load_config(preset="words", overrides=overrides)  # a mistake in them before anything is made
        write_workspace(folder, "words", lang or pick_language(), source)
    job = open_job(file, overrides, DEFAULT_RUN, fresh=fresh)
    data = job.config.data
    asked, has = (source, data.source) if source else (lang, None if data.source else data.lang)
    if asked and has and asked != has:
        raise ConfigError("holds other words", where=folder, expected=asked, got=has, next="--out another-folder")
    return job


def _check_readable(words: Path) -> None:
    """Raise DataError for a file without words before anything is made."""
    from dozero.corpus.words import read_word_file
    from dozero.errors import DataError

    if next(read_word_file(words), None) is None:
        raise DataError("holds no words", where=words, expected="a text file with one word a line")


def _train_and_tell(display: Display, job: Job, minutes: float | None, began: float) -> None:
    from dozero.cli.session import planned, prepare_and_show, ready_device, train_and_show
    from dozero.pipeline.stages import prepared

    config, workspace = job.config, job.workspace
    device = ready_device(config)
    dtype = str(device.dtype).removeprefix("torch.")
    display.say("machine", device=device.type.upper(), threads=device.threads, dtype=dtype, seed=config.seed)
    data = prepare_and_show(display, job) if display.as_json else prepared(config, workspace)
    _tell_data(display, data)
    _tell_tokens(display, data)
    if minutes is not None:
        config = planned(display, job, data, device, minutes, began)
    _tell_model(display, config, data)
    finished = train_and_show(display, job, config, data, device, indent=3)
    _tell_exam(display, data, finished.heldout)
    _head(display, 6, "words")
    display.say("words_what", 3, temperature=config.generate.temperature)
    _show_words(display, workspace, config, seed=0)
    _tell_next(display, workspace, config, time.perf_counter() - began)


def _sample_again(display: Display, job: Job, minutes: float | None) -> None:
    """Ten other words at each call: how many were made before is counted in a file of the run."""
    from dozero.artifact import explain_os_errors
    from dozero.config import load_config
    from dozero.errors import ConfigError

    workspace, config = job.workspace, job.config
    trained = load_config(workspace.run / "run.toml")
    if minutes is not None or trained.seed != config.seed:
        asked = f"--minutes {minutes:g}" if minutes is not None else f"--seed {config.seed}"
        raise ConfigError(f"is already trained, so {asked} would do nothing", where=workspace.run, next="--fresh")
    display.say("words_again", path=str(workspace.run))
    counter = workspace.run / "sampled"
    text = counter.read_text(errors="replace") if counter.exists() else ""
    made = int(text) if text.isdecimal() else WORDS_SHOWN
    _show_words(display, workspace, config, seed=made)
    with explain_os_errors(counter):
        counter.write_text(str(made + WORDS_SHOWN))


def _head(display: Display, place: int, key: str) -> None:
    from dozero.cli.messages import say

    display.line()
    display.line(f"[bold cyan]{place}  {say(display.lang, key)}[/]")


def _tell_title(lang: str, source: str) -> None:
    from rich.console import Console

    from dozero import __version__
    from dozero.cli.messages import language_name, say

    Console(highlight=False, soft_wrap=True).print(
        say(lang, "title", version=__version__, name=language_name(lang, source))
    )


def _tell_data(display: Display, data: Prepared) -> None:
    from dozero.cli.messages import MESSAGES, number, say

    counts, about, lang = data.corpus.manifest.counts, data.corpus.manifest.about, display.lang
    _head(display, 1, "data")
    total = counts["kept"] + counts["dropped"]
    display.say(
        "data_kept", 3, kept=number(lang, counts["kept"]), total=number(lang, total),
        source=about["source"], licence=about["licence"],
    )  # fmt: skip
    reasons = [
        f"{number(lang, count)} {say(lang, f'reason:{reason}') if f'reason:{reason}' in MESSAGES else reason}"
        for reason, count in counts["by_reason"].items()
    ]
    more = " ..." if len(reasons) > REASONS_SHOWN else ""
    if reasons:
        display.line(f"   {say(lang, 'data_dropped')} " + " · ".join(reasons[:REASONS_SHOWN]) + more)
    display.say("data_heldout", 3, heldout=number(lang, data.dataset.heldout.documents))


def _tell_tokens(display: Display, data: Prepared) -> None:
    tokenizer = data.tokenizer
    _head(display, 2, "tokens")
    alphabet = (
        tokenizer.alphabet if len(tokenizer.alphabet) <= ALPHABET_SHOWN else tokenizer.alphabet[:ALPHABET_SHOWN] + "..."
    )
    display.say("tokens_alphabet", 3, alphabet=alphabet, count=len(tokenizer.alphabet), vocab=tokenizer.vocab_size)
    for word in _three_words(data.corpus.texts()):
        ids = " ".join(str(i) for i in tokenizer.encode(word).tolist())
        display.line(f"   {word:<14} {ids}")


def _three_words(texts: Iterator[str]) -> list[str]:
    """Return three common words of six letters or more where there are such, else any three."""
    common = list(itertools.islice(texts, 2000))
    return ([text for text in common if len(text) >= 6] or common)[:3]


def _tell_model(display: Display, config: RunConfig, data: Prepared) -> None:
    from dozero.cli.messages import number
    from dozero.generate.language_model import LanguageModel
    from dozero.train.loop import build_model

    shape, lang = config.model, display.lang
    model = build_model(config, data.tokenizer.vocab_size, _plain_device())
    params = sum(p.numel() for p in model.parameters())
    _head(display, 3, "model")
    display.say(
        "model_shape", 3, params=number(lang, params), layers=shape.n_layers, width=shape.d_model, heads=shape.n_heads
    )
    babble = LanguageModel(model, data.tokenizer).generate(config=config.generate, seed=config.seed << 32)
    display.say("model_babble", 3, text=babble)
    _head(display, 4, "training")
    words = round(config.train.batch_tokens * data.dataset.train.documents / len(data.dataset.train.ids))
    display.say("training_what", 3, steps=number(lang, config.train.steps), words=number(lang, words))


def _plain_device() -> Device:
    import torch

    from dozero.device import Device

    return Device("cpu", torch.float32, torch.get_num_threads())


def _tell_exam(display: Display, data: Prepared, heldout: Surprise) -> None:
    from dozero.cli.messages import number, say
    from dozero.eval.ngram import bits_per_character_ladder

    symbols = len(data.tokenizer.alphabet) + 1
    ladder = bits_per_character_ladder(data.dataset, symbols)
    rungs = {**ladder, "model": heldout.bits_per_character}
    if display.as_json:
        display.print_json({"event": "Exam", "bits_per_character": rungs})
    _head(display, 5, "exam")
    display.say("exam_what", 3, words=number(display.lang, heldout.documents))
    widest = max(rungs.values())
    for name, bits in rungs.items():
        bar = "█" * round(BAR_WIDTH * bits / widest)
        style = "bold green" if name == "model" else "dim"
        display.line(f"   {say(display.lang, f'rung_{name}'):<12} {bits:.3f} [{style}]{bar}[/]")


def _show_words(display: Display, workspace: Workspace, config: RunConfig, seed: int) -> None:
    """Print ten words with what each is: new, existing, or almost a copy."""
    from dozero.cli.messages import say
    from dozero.corpus.build import known_words
    from dozero.eval.novelty import judge_word
    from dozero.generate.language_model import LanguageModel

    model = LanguageModel.open(workspace.run / "model")
    known = known_words(workspace.corpus)
    texts = model.generate_many(WORDS_SHOWN, config=config.generate, seed=seed)
    for i, text in enumerate(texts, 1):
        verdict = judge_word(text, known, model.tokenizer.alphabet)
        if display.as_json:
            display.print_json({"event": "Word", "text": text, "kind": verdict.kind, "near": verdict.near})
        style = {"new": "green", "exists": "dim", "almost": "yellow"}[verdict.kind]
        told = say(display.lang, f"verdict_{verdict.kind}", near=verdict.near)
        display.line(f"   {i:>2}. [bold]{text:<22}[/] [{style}]{told}[/]")


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
        (f"dozero hello --lang {other}", "next_other"),
    ):
        display.line(f"  [bold]{escape(command)}[/]")
        display.say(key, 6)
