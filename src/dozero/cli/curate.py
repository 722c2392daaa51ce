"""`dozero curate`: files in, a corpus out, every drop explained; and what a corpus must forget."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from dozero.cli.display import Display
    from dozero.settings import RunConfig

DEFAULT_OUT = Path("corpus")
_SETTING = re.compile(r"\w+(\.\w+)+\s*=")


def curate(
    sources: list[str] | None = typer.Argument(
        None,
        metavar="SOURCES... [section.key=value ...]",
        help="Files, folders, globs, URLs, hf://owner/name; settings.",
    ),
    out: Path = typer.Option(DEFAULT_OUT, "-o", "--out", help="Folder of the corpus."),
    lang: str | None = typer.Option(None, "--lang", help="Keep these languages only, such as pt or pt,en."),
    licence: str = typer.Option("", "--licence", help="Licence of documents that carry none, as CC-BY-4.0 or own."),
    allow_unlicensed: bool = typer.Option(False, "--allow-unlicensed", help="Keep documents of unknown licence."),
    processes: int = typer.Option(0, "--processes", min=0, help="Work on this many; 0: all cores. Changes no byte."),
    text_field: str = typer.Option("text", "--text-field", help="Field that holds the text in csv, jsonl, parquet."),
    personal: str = typer.Option("mask", "--personal", help="Personal data: mask, drop, report or off."),
    evaluation: str = typer.Option("", "--evaluation", help="Evaluation texts that must not be in the corpus."),
    forget: str | None = typer.Option(None, "--forget", metavar="ID|HASH|REGEX", help="Erase documents of a corpus."),
    yes: bool = typer.Option(False, "--yes", help="With --forget: do it, rather than say what would be done."),
    also: list[Path] | None = typer.Option(None, "--also", help="With --forget: look for traces here too."),
    keep_pattern: bool = typer.Option(False, "--keep-pattern", help="With --forget REGEX: forget future matches too."),
    rebuild: bool = typer.Option(True, help="With --forget: make tokenizer and dataset of the workspace anew."),
    as_json: bool = typer.Option(False, "--json", help="Print events as JSON lines."),
) -> None:
    """Read, clean, filter, deduplicate and mask: a corpus with every drop explained.

    Run again after an interruption, it goes on; when nothing changed, it only reports.

    \b
    Filters, in order, chosen by curate.filters=["length", ...]:
      length             neither too short nor too long
      language           in one of curate.languages
      gopher_quality     word counts, symbols, bullets, stop words (Rae et al. 2021)
      gopher_repetition  repeated lines, paragraphs, n-grams (Rae et al. 2021)
      c4                 whole sentences, no lorem ipsum, no code (Raffel et al. 2020)
      fineweb            line endings, short lines, repeated characters (Penedo et al. 2024)
    Then personal data, exact duplicates (curate.exact_duplicates=false: off), near duplicates
    (curate.near_duplicates=false: off) and texts of --evaluation.

    dozero curate --forget ID|HASH|REGEX -o CORPUS (or a workspace) erases documents, tells what was made from them,
    and makes tokenizer and dataset of the workspace anew.
    """  # noqa: D301 - the backspace is how click is told to keep lines as they are
    from dozero.cli.display import Display
    from dozero.cli.language import narration, pick_language

    settings, paths = split_settings(sources or [])
    display = Display(narration(pick_language(lang)), as_json=as_json)
    if forget is not None:
        from dozero.cli.forget import forget_and_show

        path = only_folder(paths, out)
        forget_and_show(display, path, forget, also or [], yes=yes, keep_pattern=keep_pattern, rebuild=rebuild)
        return
    data = {"licence": licence, "allow_unlicensed": allow_unlicensed}
    rules = {"personal_data": personal, "evaluation": evaluation}
    tree = settings_tree(paths, text_field, data, rules, lang)
    curate_and_show(display, curate_config(tree, settings), out, processes)


def settings_tree(
    paths: list[str], text_field: str, data: dict[str, Any], rules: dict[str, Any], lang: str | None
) -> dict[str, Any]:
    """Return what options say as a tree of settings."""
    from dozero.cli.language import pick_language

    sources = [{"path": path, "text_field": text_field} for path in paths]
    languages = [pick_language(code) for code in (lang or "").split(",") if code]
    return {"data": {"kind": "text", "sources": sources, **data}, "curate": {"languages": languages, **rules}}


def split_settings(words: list[str]) -> tuple[list[str], list[str]]:
    """Return the settings among the words of a command line, and the rest, which are sources.

    >>> split_settings(["docs", "curate.near_duplicates=false", "a=b.txt"])
    (['curate.near_duplicates=false'], ['docs', 'a=b.txt'])
    """
    settings = [word for word in words if _SETTING.match(word) and not Path(word).exists()]
    return settings, [word for word in words if word not in settings]


def only_folder(paths: list[str], out: Path) -> Path:
    """Return the one corpus or workspace that --forget is about, given by itself or as -o."""
    from dozero.errors import ConfigError

    if len(paths) > 1 or (paths and out != DEFAULT_OUT):
        got = " ".join([*paths, *([str(out)] if out != DEFAULT_OUT else [])])
        raise ConfigError("one corpus or workspace at a time", where="--forget", got=got)
    return Path(paths[0]) if paths else out


def curate_config(tree: dict[str, Any], settings: list[str]) -> RunConfig:
    """Return the settings of options with `section.key=value` on top; those of no effect here are refused."""
    from dozero.config import build_config, merge, parse_override
    from dozero.errors import ConfigError

    for text in settings:
        given = parse_override(text)
        if not given.keys() <= {"data", "curate", "scale"}:
            raise ConfigError("has no effect here", where=text, expected="a setting of data, curate or scale")
        tree = merge(tree, given)
    if not tree["data"]["sources"]:
        del tree["data"]["sources"]
        if "source" not in tree["data"]:
            raise ConfigError(
                "nothing to curate", expected="files, folders, globs or URLs", next="dozero curate docs -o corpus"
            )
    return build_config(tree)


def curate_and_show(display: Display, config: RunConfig, out: Path, processes: int) -> None:
    """Make the corpus unless it is there already, showing what happens and then what it holds."""
    began = time.perf_counter()
    from rich.markup import escape

    from dozero.artifact import is_current
    from dozero.cli.corpus_messages import tell
    from dozero.cli.display import command_line
    from dozero.corpus.build import build_corpus, corpus_inputs, corpus_settings
    from dozero.errors import Interrupted
    from dozero.hardware import usable_cores

    inputs = corpus_inputs(config.data, config.curate)
    is_made = is_current(out, "corpus", inputs, corpus_settings(config.data, config.curate))
    try:
        with display:
            if not is_made:
                for event in build_corpus(
                    config.data, config.curate, out, inputs, processes or usable_cores(), config.scale
                ):
                    display.show(event)
    except KeyboardInterrupt:  # units that are done stay on disk, so there is nothing to wait for
        display.line(tell(display.lang, "interrupted"))
        display.line("  " + escape(command_line()))
        raise Interrupted(130) from None
    show_corpus(display, out, None if is_made else time.perf_counter() - began)


def show_corpus(display: Display, out: Path, seconds: float | None) -> None:
    """Draw the pictures of a corpus and print its report; `seconds` if it was made just now."""
    from rich.console import Console

    from dozero.cli.corpus_messages import tell
    from dozero.cli.corpus_view import PLOTS, draw_pictures, show_report
    from dozero.corpus.card import CARD_FILES
    from dozero.corpus.report import read_report

    report, without = read_report(out), draw_pictures(out, display.lang)
    assert report is not None, "a corpus of text has a report"
    if display.as_json:
        display.print_json({"event": "Curated", "corpus": str(out), "made": seconds is not None, "report": report})
        return
    show_report(Console(highlight=False), report, display.lang, seconds)
    card = out / CARD_FILES[display.lang]
    if without is None:
        display.line("\n" + tell(display.lang, "files", card=card, plots=out / PLOTS))
    else:
        display.line("\n" + tell(display.lang, "no_plots", why=without))
        display.line(tell(display.lang, "files_without_plots", card=card))
    display.line(tell(display.lang, "next", path=out))
