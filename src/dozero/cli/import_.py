"""`dozero import`: a model that others made, as a model folder of ours."""

from __future__ import annotations

from pathlib import Path

import typer


def import_(
    source: Path = typer.Argument(help="A Hugging Face folder with safetensors, or a GGUF file."),
    out: Path = typer.Option(Path("model"), "-o", "--out", help="Folder of the model."),
    special: list[str] = typer.Option(
        [], "--add-special", metavar="NAME", help="Add a special token, such as <|tool|>."
    ),
    word: list[str] = typer.Option([], "--add-word", metavar="TEXT", help="Add a word that becomes one token."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Bring in a Llama, Qwen2, Qwen3, SmolLM or Mistral (without sliding window), with its tokenizer.

    Nothing that comes with it is run, no pickle is opened, and what dozero does not compute is refused by name.
    """
    import json
    import shlex
    from dataclasses import asdict

    from rich.console import Console

    from dozero.cli.interop_messages import say_move
    from dozero.cli.language import narration, pick_language
    from dozero.cli.messages import number
    from dozero.interop.import_model import import_model

    lang = narration(pick_language())
    made = import_model(source, out, special, word)
    if as_json:
        typer.echo(json.dumps(asdict(made), ensure_ascii=False, default=str))
        return
    console = Console(highlight=False, soft_wrap=True)
    counts = {"parameters": number(lang, made.parameters), "vocab_size": number(lang, made.vocab_size)}
    console.print(
        say_move(lang, "imported", out=str(out), architecture=made.architecture, licence=made.licence, **counts)
    )
    console.print(say_move(lang, "imported_stored", stored=made.stored))
    if made.added:
        console.print(say_move(lang, "imported_added", added=made.added))
    console.print(say_move(lang, "imported_next"))
    console.print(f"  dozero generate {shlex.quote(str(out))} -n 3", markup=False)
