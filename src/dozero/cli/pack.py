"""`dozero pack`: a corpus and a tokenizer in, token shards out."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from dozero.cli.language import narration, pick_language
from dozero.cli.messages import number

if TYPE_CHECKING:
    from rich.table import Table

    from dozero.cli.display import Display
    from dozero.corpus.store import Corpus
    from dozero.dataset.shards import Dataset
    from dozero.tokenizer.tokenizer import Tokenizer

# Under each key: Portuguese, then English.
PACK_MESSAGES: dict[str, tuple[str, str]] = {
    "encoding": ("em tokens", "to tokens"),
    "made": ("feito: {path} · {tokens} tokens de {documents} documentos, em {seconds:.1f} s",
             "made: {path} · {tokens} tokens of {documents} documents, in {seconds:.1f} s"),
    "current": ("em dia: {path} · {tokens} tokens de {documents} documentos",
                "up to date: {path} · {tokens} tokens of {documents} documents"),
    "interrupted": ("interrompido; o que já virou tokens está guardado e o mesmo comando continua:",
                    "interrupted; what became tokens so far is kept and the same command continues:"),
    "split": ("parte", "split"),
    "train": ("treino", "train"),
    "heldout": ("prova", "held out"),
    "documents": ("documentos", "documents"),
    "tokens": ("tokens", "tokens"),
    "bytes": ("MB", "MB"),
    "rate": ("bytes/token", "bytes/token"),
    "fill": ("em linhas de {row} tokens, treino: {rows} linhas, {fill:.1%} cheias",
             "in rows of {row} tokens, train: {rows} rows, {fill:.1%} full"),
}  # fmt: skip


def pack(
    corpus: Path = typer.Argument(help="Folder of a corpus."),
    tokenizer: Path = typer.Argument(help="Folder of a tokenizer."),
    out: Path = typer.Option(Path("dataset"), "-o", "--out", help="Folder of the dataset."),
    heldout_percent: float = typer.Option(10.0, "--heldout-percent", help="Share of documents kept out of training."),
    weight: list[str] | None = typer.Option(
        None, "--weight", metavar="NAME=W", help="Share of the training rows of a collection, over its source's."
    ),
    row_tokens: int = typer.Option(256, "--row-tokens", min=8, help="Tell how full rows of so many tokens are."),
    processes: int = typer.Option(0, "--processes", min=0, help="Work on this many; 0: all cores. Changes no byte."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Turn the documents of a corpus into token shards, held-out documents apart.

    Run again after an interruption, it goes on; when nothing changed, it only reports.
    """
    from dozero.cli.display import Display
    from dozero.corpus.store import open_corpus
    from dozero.errors import ConfigError
    from dozero.tokenizer.files import open_tokenizer

    if not 0 < heldout_percent < 100:
        raise ConfigError("must be more than 0 and less than 100", where="--heldout-percent", got=heldout_percent)
    display = Display(narration(pick_language()), as_json=as_json)
    source, (made_by, manifest) = open_corpus(corpus), open_tokenizer(tokenizer)
    inputs = {"corpus": source.manifest.fingerprint, "tokenizer": manifest.fingerprint}
    weights = mix_weights(source, weight or [])
    began = time.perf_counter()
    dataset, is_made = _bring_up_to_date(display, source, made_by, heldout_percent, inputs, out, weights, processes)
    _tell(display, out, dataset, row_tokens, time.perf_counter() - began if is_made else None)


def mix_weights(corpus: Corpus, given: list[str]) -> dict[str, float]:
    """Return the weight of each collection: its source's, or the one given as NAME=W; none where all are 1."""
    from dozero.errors import ConfigError, did_you_mean

    sources = corpus.manifest.config.get("sources") or ()
    weights = {source["name"] or source["path"]: float(source["weight"]) for source in sources}
    for text in given:
        name, _, number = text.rpartition("=")
        try:
            share = float(number)
        except ValueError:
            share = 0.0
        if not 0 < share < float("inf"):
            raise ConfigError("not a weight", where="--weight", expected="NAME=W, W more than 0", got=repr(text))
        if name not in weights:
            known = ", ".join(weights) or "no collections"
            raise ConfigError(
                "no such collection", where="--weight", expected=known, got=repr(name), next=did_you_mean(name, weights)
            )
        weights[name] = share
    return weights if any(share != 1 for share in weights.values()) else {}


def _bring_up_to_date(
    display: Display, corpus: Corpus, tokenizer: Tokenizer, heldout_percent: float, inputs: dict[str, str], out: Path,
    weights: dict[str, float], processes: int,
) -> tuple[Dataset, bool]:  # fmt: skip
    """Return the dataset, and whether it had to be made."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress

    from dozero.artifact import check_replaceable, is_current
    from dozero.cli.display import command_line
    from dozero.dataset.shards import dataset_settings, open_dataset, pack_corpus
    from dozero.errors import Interrupted
    from dozero.hardware import usable_cores

    if is_current(out, "dataset", inputs, dataset_settings(heldout_percent, weights)):
        return open_dataset(out), False
    check_replaceable(out, "dataset")  # before the work rather than after it
    err = Console(stderr=True, quiet=display.as_json)
    try:
        with Progress(console=err, transient=True, disable=not err.is_terminal) as bar:
            task = bar.add_task(_text(display.lang, "encoding"), total=None)
            for event in pack_corpus(
                corpus, tokenizer, heldout_percent, inputs, out, weights=weights, processes=processes or usable_cores()
            ):
                bar.update(task, completed=event.done, total=event.total)
    except KeyboardInterrupt:  # parts that are done stay on disk, so there is nothing to wait for
        display.line(_text(display.lang, "interrupted"))
        display.line("  " + escape(command_line()))
        raise Interrupted(130) from None
    return open_dataset(out), True


def _tell(display: Display, out: Path, dataset: Dataset, row_tokens: int, seconds: float | None) -> None:
    """Print what the dataset holds."""
    from dozero.dataset.rows import pack_rows

    rows = pack_rows(dataset.train, row_tokens)
    facts = {
        "path": str(out),
        "made": seconds is not None,
        **dataset.manifest.counts,
        "vocab_size": dataset.vocab_size,
        "rows": len(rows),
        "fill": rows.fill,
    }
    if display.as_json:
        display.print_json(facts)
        return
    lang, splits = display.lang, (dataset.train, dataset.heldout)
    tokens, documents = sum(s.tokens for s in splits), sum(s.documents for s in splits)
    figures = {"path": out, "tokens": number(lang, tokens), "documents": number(lang, documents)}
    said = _text(lang, "current") if seconds is None else _text(lang, "made")
    display.line(said.format(**figures, seconds=seconds or 0.0))
    display.out.print(_table(lang, dataset))
    fill = {"row": row_tokens, "rows": number(lang, len(rows)), "fill": rows.fill}
    display.line(_text(lang, "fill").format(**fill))


def _table(lang: str, dataset: Dataset) -> Table:
    """Return the figures of each split as a table."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for i, key in enumerate(("split", "documents", "tokens", "bytes", "rate")):
        table.add_column(_text(lang, key), justify="right" if i else "left")
    for name, stream in (("train", dataset.train), ("heldout", dataset.heldout)):
        rate = stream.bytes / max(1, stream.tokens)
        figures = number(lang, stream.documents), number(lang, stream.tokens), f"{stream.bytes / 1e6:.2f}"
        table.add_row(_text(lang, name), *figures, f"{rate:.2f}")
    return table


def _text(lang: str, key: str) -> str:
    return PACK_MESSAGES[key][0 if narration(lang) == "pt" else 1]
