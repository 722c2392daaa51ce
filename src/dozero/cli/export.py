"""`dozero export`: a model in the form that another program reads, and proof that it computes the same there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from dozero.interop.export import Exported
    from dozero.interop.verify import Parity


def export(
    run: Path = typer.Argument(help="A workspace, run, checkpoint or model folder."),
    to: str = typer.Option("gguf", "--to", help="hf, gguf (llama.cpp), onnx (onnxruntime) or ollama."),
    kind: str | None = typer.Option(
        None, "--type", help="Number format: f32, f16, bf16 or, in a GGUF, q8_0; each form has a usual one."
    ),
    out: Path | None = typer.Option(None, "-o", "--out", help="Folder to write; else export/ in the model's own."),
    check: bool = typer.Option(False, "--verify", help="Run it there and compare: logits, greedy text, tokens, chat."),
    prompts: int = typer.Option(20, "--prompts", min=1, help="With --verify, how many texts are begun."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Write a model as a GGUF, ONNX, Ollama or Hugging Face folder, and prove that it is the same there.

    The model folder itself is already one of Hugging Face: hf writes it in another number format, or ready to be sent.
    """
    import json
    from dataclasses import asdict

    from rich.console import Console

    from dozero.cli.language import narration, pick_language
    from dozero.errors import ModelMismatch
    from dozero.generate.language_model import LanguageModel
    from dozero.interop.export import export_model, pick_type
    from dozero.interop.verify import verify
    from dozero.pipeline.stages import find_model, generate_settings

    kind, folder, lang = pick_type(to, kind), find_model(run), narration(pick_language())
    exported = export_model(folder, to, kind, generate_settings(folder, {}), out)
    console = Console(highlight=False, soft_wrap=True, quiet=as_json)
    _tell(console, lang, exported)
    parity = verify(exported, LanguageModel.open(folder), prompts) if check else None
    if parity is not None:
        tell_parity(console, lang, parity)
    if as_json:
        facts = asdict(exported) | ({"parity": asdict(parity) | {"holds": parity.holds}} if parity else {})
        typer.echo(json.dumps(facts, ensure_ascii=False, default=str))
    if parity is not None and not parity.holds:
        raise ModelMismatch(f"{parity.engine} does not compute what dozero computes", where=exported.file)


def _tell(console: Console, lang: str, exported: Exported) -> None:
    """Say what was written and how to run it."""
    import shlex

    from dozero.cli.interop_messages import say_move

    size = exported.bytes / 1e6
    console.print(say_move(lang, "exported", file=str(exported.file), to=exported.to, type=exported.type, mb=size))
    file = shlex.quote(str(exported.file))
    if exported.to == "gguf":
        console.print(say_move(lang, "run_gguf", file=file))
    elif exported.to == "ollama":
        console.print(say_move(lang, "run_ollama", file=file, name=exported.name))


def tell_parity(console: Console, lang: str, parity: Parity) -> None:
    """Say how far the other program is from ours, and show the chat as both render it."""
    from dozero.cli.interop_messages import say_move

    of_format = say_move(lang, "parity_format", type=parity.type)
    bar = of_format if parity.bar is None else say_move(lang, "parity_bar", bar=parity.bar)
    difference = parity.largest_logit_difference
    console.print(say_move(lang, "parity", engine=parity.engine, difference=difference, bar=bar))
    console.print(say_move(lang, "parity_text", same_text=parity.same_text, prompts=parity.prompts,
                           same_tokens=parity.same_tokens, tokens=parity.tokens))  # fmt: skip
    console.print(say_move(lang, "parity_ids", same_ids=parity.same_ids, prompts=parity.prompts))
    if parity.chat is None:
        console.print(say_move(lang, "parity_no_chat"))
        return
    ours, theirs = parity.chat
    if ours == theirs:
        shown = ((say_move(lang, "parity_chat_same", engine=parity.engine), ours),)
    else:
        there = say_move(lang, "parity_chat_theirs", engine=parity.engine)
        shown = ((say_move(lang, "parity_chat_ours"), ours), (there, theirs))
    for head, text in shown:
        console.print(head)
        for line in text.splitlines():
            console.print(f"  {line}", markup=False)
