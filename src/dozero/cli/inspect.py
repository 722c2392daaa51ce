"""`dozero inspect`: what a folder is, what made it, and whether it is intact; and any document of a corpus."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import typer

LISTED = {"made from": 5, "files": 20}  # a folder of documents has thousands


def inspect(
    path: Path = typer.Argument(help="A workspace, run, corpus, tokenizer, dataset, checkpoint or model folder."),
    document: str | None = typer.Option(
        None, "--document", metavar="ID", help="Show this document of a corpus, before and after; the id may be cut."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Explain any folder that dozero wrote.

    What it is, what it was made from, how much it holds, whether it is intact. Of a corpus also what was dropped and
    why, and with --document any document, kept or dropped, as it was read and as it is stored.
    """
    if document is not None:
        _inspect_document(path, document, as_json=as_json)
        return
    import json

    from dozero.corpus.report import read_report
    from dozero.pipeline.report import describe

    tree = describe(path)
    report = read_report(path)
    if as_json:
        typer.echo(json.dumps(tree | ({"report": report} if report else {}), ensure_ascii=False, default=str))
        return
    for line in _as_lines(tree):
        typer.echo(line)
    if report:
        from rich.console import Console

        from dozero.cli.corpus_view import show_report
        from dozero.cli.language import narration, pick_language

        typer.echo()
        show_report(Console(highlight=False), report, narration(pick_language()))


def _inspect_document(path: Path, prefix: str, *, as_json: bool) -> None:
    """Show a document of the corpus of a folder or workspace: what it is, and its text before and after."""
    import json

    from rich.console import Console

    from dozero.cli.document_view import find_changes, show_document
    from dozero.cli.language import narration, pick_language
    from dozero.corpus.lookup import find_document, read_before
    from dozero.corpus.store import open_corpus
    from dozero.pipeline.forget import find_corpus

    corpus = open_corpus(find_corpus(path)[0])
    console = Console(highlight=False, soft_wrap=True)
    for row in find_document(corpus, prefix):
        before = read_before(corpus, row)
        text = row.document.text
        facts = {
            "id": row.id,
            "reason": row.reason,
            "source": row.document.source,
            "licence": row.document.licence,
            "language": row.document.lang,
            "collection": row.document.collection,
            "personal": row.personal,
            "before": before.text,
            "before_missing": before.missing,
            "after": text,
            "changes": [] if before.text is None else find_changes(before.text, text),
        }
        if as_json:
            typer.echo(json.dumps(facts, ensure_ascii=False))
        else:
            show_document(console, facts, narration(pick_language()))


def _as_lines(tree: dict[str, Any], indent: int = 0) -> list[str]:
    """Return nested facts as indented lines."""
    lines = []
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            most = LISTED.get(key, len(value))
            listed = dict(itertools.islice(value.items(), most))
            lines += [f"{' ' * indent}{key}:", *_as_lines(listed, indent + 2)]
            if len(value) > most:
                lines.append(f"{' ' * indent}  ... {len(value) - most} more, all with --json")
        elif value not in ({}, [], None, ""):
            shown = ", ".join(str(v) for v in value) if isinstance(value, list) else value
            lines.append(f"{' ' * indent}{key}: {shown}")
    return lines
