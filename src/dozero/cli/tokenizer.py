"""`dozero tokenizer`: learn a vocabulary, look at tokens, compare vocabularies."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from dozero.cli.language import narration, pick_language
from dozero.errors import ArtifactError, ConfigError

if TYPE_CHECKING:
    from dozero.cli.display import Display
    from dozero.corpus.store import Corpus
    from dozero.settings import TokenizerConfig
    from dozero.tokenizer.compare import Figures, Vocabulary
    from dozero.tokenizer.tokenizer import Tokenizer

AUTO = "auto"
COMPARE_BYTES = 20_000_000
EXAM_EVERY = 10  # this share of the documents is what vocabularies are compared on; the others are what they learn from

# Under each key: Portuguese, then English.
TOKENIZER_MESSAGES: dict[str, tuple[str, str]] = {
    "made": ("feito: {path} · {size} tokens", "made: {path} · {size} tokens"),
    "smaller": ("o texto não dá mais que {size} tokens; pedidos: {asked}", "the text gives no more than {size} tokens; asked: {asked}"),
    "sampled": ("aprendido em um de cada {every} documentos, de {mb:.0f} MB", "learned from one in {every} documents, of {mb:.0f} MB"),
    "shown": ("{tokens} tokens · {bytes} bytes · {rate:.2f} bytes por token", "{tokens} tokens · {bytes} bytes · {rate:.2f} bytes a token"),
    "trying": ("que tamanho? o mesmo modelo pequeno treina {seconds:.0f} s com cada um:",
               "which size? the same small model trains {seconds:.0f} s with each:"),
    "tried": ("{size:>6} tokens: {bits:.3f} bits por byte na prova ({steps} passos, {mb:.1f} MB de texto)",
              "{size:>6} tokens: {bits:.3f} bits a byte in the exam ({steps} steps, {mb:.1f} MB of text)"),
    "chosen": ("escolhido: {size}, o menor que não perde para o melhor por mais que o ruído ({noise:.1%})",
               "chosen: {size}, the smallest that loses to the best by no more than the noise ({noise:.1%})"),
    "compared": ("em {documents} documentos ({mb:.2f} MB) fora do texto de que os tamanhos aprenderam:",
                 "on {documents} documents ({mb:.2f} MB) outside the text that the sizes learned from:"),
    "vocabulary": ("vocabulário", "vocabulary"),
    "size": ("tokens", "tokens"),
    "bytes_per_token": ("bytes/token", "bytes/token"),
    "split": ("palavras cortadas", "words split"),
    "fertility": ("tokens/palavra", "tokens/word"),
    "used": ("em uso", "in use"),
    "price": ("preço", "price"),
    "price_what": ("preço: tokens que o mesmo texto gasta para cada um do primeiro vocabulário",
                   "price: tokens that the same text takes for each one of the first vocabulary"),
}  # fmt: skip


def tokenizer(
    path: Path = typer.Argument(help="A corpus or workspace; with --show alone also a tokenizer, run or model folder."),
    out: Path | None = typer.Option(
        None, "-o", "--out", help="Learn from the corpus and write a tokenizer folder here."
    ),
    kind: str = typer.Option("bpe", "--kind", help="bpe: byte-level pairs; char: one token for each character."),
    vocab_size: str = typer.Option("2048", "--vocab-size", help="Tokens of a bpe, or auto: try which predicts best."),
    show: str | None = typer.Option(None, "--show", help="Show the tokens of this text."),
    compare: str | None = typer.Option(
        None,
        "--compare",
        help="Compare vocabularies: sizes, tokenizers and other corpora, as in 1024,2048,other/corpus.",
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON lines."),
) -> None:
    """Learn a vocabulary from a corpus; --show colours the tokens of a text, --compare sets vocabularies side by side.

    In --compare a size learns from the corpus, a tokenizer (folder or tokenizer.json) is taken as it is, and another
    corpus gives a vocabulary of the size before it: the price of one language under the vocabulary of another.
    """
    from dozero.cli.display import Display

    if out is None and show is None and compare is None:
        raise ConfigError("nothing to do", where="dozero tokenizer", expected="-o, --show or --compare")
    display = Display(narration(pick_language()), as_json=as_json)
    made: Tokenizer | None = None
    if out is not None:
        made = _learn(display, path, kind, vocab_size, out)
    if compare is not None:
        _compare(display, path, compare)
    if show is not None:
        _show(display, made or _open_tokenizer(path), show)


def _learn(display: Display, path: Path, kind: str, vocab_size: str, out: Path) -> Tokenizer:
    """Learn the vocabulary asked for, write it and tell of it."""
    from dozero.artifact import check_replaceable, read_manifest
    from dozero.tokenizer.build import build_tokenizer

    corpus = _open_corpus(path)
    check_replaceable(out, "tokenizer")  # before the work rather than after it
    config = _config_of(display, path, corpus, kind, vocab_size)
    tokenizer = build_tokenizer(corpus, config, out)
    counts = read_manifest(out).counts
    if display.as_json:
        display.print_json({"event": "TokenizerMade", "path": str(out), "kind": kind, **counts})
        return tokenizer
    _say(display, "made", path=str(out), size=tokenizer.vocab_size)
    if kind == "bpe" and tokenizer.vocab_size < config.vocab_size:
        _say(display, "smaller", size=tokenizer.vocab_size, asked=config.vocab_size)
    if (every := counts.get("learned_from_every_nth_document", 1)) > 1:
        _say(display, "sampled", every=every, mb=counts["corpus_bytes"] / 1e6)
    return tokenizer


def _config_of(display: Display, path: Path, corpus: Corpus, kind: str, vocab_size: str) -> TokenizerConfig:
    """Return the settings that the options name, once the size is chosen."""
    from dozero.config import build_config

    given: dict[str, Any] = {"kind": kind}
    if kind == "bpe":
        given["vocab_size"] = _choose_size(display, path, corpus) if vocab_size == AUTO else _number(vocab_size)
    return build_config({"tokenizer": given}).tokenizer


def _choose_size(display: Display, path: Path, corpus: Corpus) -> int:
    """Try vocabularies, telling of each, and return the size to take."""
    from dozero.cli.session import ready_device
    from dozero.config import load_config
    from dozero.pipeline.vocabulary import NOISE, SECONDS_EACH, SizeChosen, choose_vocab_size

    file = path / "run.toml"
    config = load_config(file) if file.is_file() else load_config(preset="text")
    if not display.as_json:
        _say(display, "trying", seconds=SECONDS_EACH)
    chosen = 0
    for event in choose_vocab_size(corpus, config, ready_device(config)):
        if display.as_json:
            display.print_json({"event": type(event).__name__, **asdict(event)})
        elif isinstance(event, SizeChosen):
            _say(display, "chosen", size=event.vocab_size, noise=NOISE)
        else:
            _say(display, "tried", size=event.vocab_size, bits=event.bits_per_byte, steps=event.steps,
                 mb=event.text_bytes / 1e6)  # fmt: skip
        chosen = event.vocab_size
    return chosen


def _compare(display: Display, path: Path, names: str) -> None:
    """Measure the vocabularies named on a tenth of the corpus and print them side by side."""
    from dozero.tokenizer.build import take_sample
    from dozero.tokenizer.compare import measure_vocabulary

    texts = list(take_sample(_open_corpus(path), COMPARE_BYTES).texts())
    exam = texts[::EXAM_EVERY]
    rest = [text for i, text in enumerate(texts) if i % EXAM_EVERY] or exam  # one document is all there is
    rows: list[Figures] = []
    size = 0
    for name in filter(None, (word.strip() for word in names.split(","))):
        size = int(name) if name.isdecimal() else size
        rows.append(measure_vocabulary(_vocabulary(name, size, rest), exam))
    if not rows:
        raise ConfigError("names no vocabulary", where="--compare", expected="sizes, tokenizers or corpora")
    if display.as_json:
        for row in rows:
            derived = {"bytes_per_token": row.bytes_per_token, "split_share": row.split_share,
                       "fertility": row.fertility, "used_share": row.used_share, "price": row.price(rows[0])}  # fmt: skip
            display.print_json({"event": "Compared", **asdict(row), **derived})
        return
    _say(display, "compared", documents=len(exam), mb=rows[0].bytes / 1e6)
    _print_table(display, rows)


def _vocabulary(name: str, size: int, texts: list[str]) -> Vocabulary:
    """Return the vocabulary that a word of --compare names: learned from the texts, from another corpus, or found."""
    from dozero.tokenizer.build import take_sample
    from dozero.tokenizer.compare import of_tokenizer, open_vocabulary
    from dozero.tokenizer.tokenizer import train_bpe_tokenizer

    if name.isdecimal():
        _number(name)
        return of_tokenizer(name, train_bpe_tokenizer(texts, size))
    path = Path(name)
    file = path if path.is_file() else path / "tokenizer.json"
    if file.is_file():
        return open_vocabulary(file)
    sample = take_sample(_open_corpus(path), COMPARE_BYTES)
    size = size or 2048
    return of_tokenizer(f"{size} ({path.name})", train_bpe_tokenizer(sample.texts(), size))


def _print_table(display: Display, rows: list[Figures]) -> None:
    from rich.table import Table

    heads = ("vocabulary", "size", "bytes_per_token", "split", "fertility", "used", "price")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in heads:
        table.add_column(_text(display.lang, head), justify="left" if head == "vocabulary" else "right")
    for row in rows:
        table.add_row(
            row.name, str(row.vocab_size), f"{row.bytes_per_token:.2f}", f"{row.split_share:.1%}",
            f"{row.fertility:.2f}", f"{row.used_share:.1%}", f"{row.price(rows[0]):.2f}",
        )  # fmt: skip
    display.out.print(table)
    _say(display, "price_what")


def _show(display: Display, tokenizer: Tokenizer, text: str) -> None:
    """Print the tokens of a text: coloured with their ids below in a terminal, else between bars."""
    ids = tokenizer.encode(text).tolist()
    names = tokenizer.show(ids)
    size = len(text.encode())
    if display.as_json:
        tokens = [{"id": i, "text": name} for i, name in zip(ids, names, strict=True)]
        display.print_json({"event": "Shown", "text": text, "bytes": size, "tokens": tokens})
        return
    if display.out.is_terminal:
        for line in _coloured(names, ids, display.out.width):
            display.out.print(line)
    else:
        typer.echo("|".join(names))
        typer.echo(" ".join(map(str, ids)))
    _say(display, "shown", tokens=len(ids), bytes=size, rate=size / max(1, len(ids)))


def _coloured(names: list[str], ids: list[int], width: int) -> list[Any]:
    """Return pairs of lines, tokens on backgrounds in turn and ids below, no wider than `width`."""
    from rich.cells import cell_len
    from rich.text import Text

    lines: list[Any] = []
    used = width
    for i, (name, number) in enumerate(zip(names, map(str, ids), strict=True)):
        cell = max(cell_len(name), len(number) + 1)
        if used + cell > width:
            lines += [Text(), Text()]
            used = 0
        lines[-2].append(name, style="black on bright_cyan" if i % 2 else "black on bright_yellow")
        lines[-2].append(" " * (cell - cell_len(name)))
        lines[-1].append(number.ljust(cell), style="dim")
        used += cell
    return lines


def _open_corpus(path: Path) -> Corpus:
    """Return the corpus that a path means: itself, or that of a workspace."""
    from dozero.corpus.store import open_corpus

    inside = path / "work" / "corpus"
    return open_corpus(inside if inside.is_dir() else path)


def _open_tokenizer(path: Path) -> Tokenizer:
    """Return the tokenizer that a path means: a file, a folder with one, or that of a workspace or run."""
    import shlex

    from dozero.tokenizer.files import read_tokenizer_json

    file = Path("tokenizer.json")
    for place in (path, path / file, path / "work" / "tokenizer" / file, path / "model" / file):
        if place.is_file():
            return read_tokenizer_json(place)
    raise ArtifactError(
        "holds no tokenizer", where=path, next=f"dozero tokenizer {shlex.quote(str(path))} -o tokenizer"
    )


def _number(text: str) -> int:
    from dozero.settings import TokenizerConfig

    least = 300
    if not text.isdecimal() or int(text) < least:
        where, expected = "--vocab-size", f"auto or a number from {least} on"
        raise ConfigError("not a size of vocabulary", where=where, expected=expected, got=repr(text))
    return TokenizerConfig(kind="bpe", vocab_size=int(text)).vocab_size


def _text(lang: str, key: str, **values: Any) -> str:
    return TOKENIZER_MESSAGES[key][0 if narration(lang) == "pt" else 1].format(**values)


def _say(display: Display, key: str, **values: Any) -> None:
    from rich.markup import escape

    display.line(escape(_text(display.lang, key, **values)))
