"""The command `dozero`: verbs, exit codes, and errors told in one line."""

from __future__ import annotations

import gc
import io
import os
import sys
from typing import NoReturn

import typer

from dozero import __version__
from dozero.cli.compare import compare
from dozero.cli.curate import curate
from dozero.cli.doctor import doctor
from dozero.cli.evaluate import evaluate
from dozero.cli.export import export
from dozero.cli.generate import generate
from dozero.cli.hello import hello
from dozero.cli.import_ import import_
from dozero.cli.inspect import inspect
from dozero.cli.new import new
from dozero.cli.pack import pack
from dozero.cli.reproduce import reproduce
from dozero.cli.run import run
from dozero.cli.tokenizer import tokenizer
from dozero.cli.train import train
from dozero.cli.why import why
from dozero.errors import ConfigError, DozeroError, Interrupted

EXIT_USER, EXIT_INTERRUPTED = 2, 130

# rich help costs a third of a second at each --help; plain help is as readable.
app = typer.Typer(
    name="dozero",
    help="From raw text to a language model of your own, on the laptop you have. Start with: dozero hello",
    rich_markup_mode=None,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"max_content_width": 110},
)
VERBS = {
    verb.__name__.rstrip("_"): verb  # import is a word of Python's own
    for verb in (hello, doctor, new, run, curate, tokenizer, pack, train, why, generate, export, import_, inspect)
}
VERBS |= {"eval": evaluate, "compare": compare, "reproduce": reproduce}  # eval is another function's name in Python
for name, verb in VERBS.items():
    app.command(name)(verb)


def _print_version(wanted: bool) -> bool:
    if wanted:
        typer.echo(f"dozero {__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def common(
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Show the version."),
) -> None:
    """Take part in every command: --debug, --version."""


def main() -> None:
    """Run the command line; exit 0 when all went well, 2 for the user to put right, 130 or 143 interrupted, 1 for a bug."""
    # Threads that wait by spinning take the core from whoever they wait for as soon as anything else runs on this
    # machine: beside one busy process a step took ten times as long. A short spin costs nothing measurable alone.
    # (JOURNAL.md has the figures. OpenMP reads this when torch is imported.)
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    # Reading a quarter of a million words makes as many objects, none of them garbage: looking through them for cycles
    # at every 700 new ones took half a second of the five until the first sample.
    gc.set_threshold(200_000, 20, 20)
    for stream in (sys.stdout, sys.stderr):  # a terminal that is not UTF-8 shows ? for what it lacks
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        app(
            [word for word in sys.argv[1:] if word != "--debug"] or ["--help"],
            prog_name="dozero",
            standalone_mode=False,
        )
    except (DozeroError, Interrupted) as error:
        if "--debug" in sys.argv:
            raise
        _leave(error)
    except KeyboardInterrupt:
        _leave(Interrupted(EXIT_INTERRUPTED))
    except BrokenPipeError:  # the reader of our output went away: `dozero ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        if type(error).__name__ == "Abort":  # what typer makes of Ctrl-C
            _leave(Interrupted(EXIT_INTERRUPTED))
        if not hasattr(error, "format_message"):  # typer's word for a mistake in options or arguments
            raise
        verb = next((word for word in sys.argv[1:] if word in VERBS), "")
        what = error.format_message().rstrip(".?")  # pyright: ignore[reportAttributeAccessIssue] - asked for just above
        _leave(DozeroError(what[:1].lower() + what[1:], next=" ".join(f"dozero {verb} --help".split())))


def _leave(error: DozeroError | Interrupted) -> NoReturn:
    """Tell the error in one line and exit with its code."""
    if isinstance(error, Interrupted):
        sys.exit(error.exit_code)
    # What is wrong with settings is wrong in each process that torchrun starts on a machine: one of them tells.
    if not (isinstance(error, ConfigError) and os.environ.get("LOCAL_RANK", "0") != "0"):
        typer.echo(f"dozero: {error}", err=True)
    sys.exit(EXIT_USER)
