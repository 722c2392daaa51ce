"""`dozero generate`: text from a model, and why."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from dozero.cli.display import Display
    from dozero.generate.language_model import LanguageModel
    from dozero.settings import GenerateConfig

CANDIDATES_SHOWN = 5


def generate(
    run: Path = typer.Argument(help="A workspace, run, checkpoint or model folder."),
    prompt: str = typer.Argument("", help="What the text begins with."),
    count: int = typer.Option(1, "-n", "--count", min=1, help="How many texts."),
    temperature: float | None = typer.Option(None, "--temperature", help="0 takes the likeliest; 1 draws as learned."),
    top_k: int | None = typer.Option(None, "--top-k", help="Draw from this many likeliest tokens; 0: all."),
    top_p: float | None = typer.Option(None, "--top-p", help="Draw from the likeliest that hold this probability."),
    min_p: float | None = typer.Option(
        None, "--min-p", help="Draw from those this fraction as likely as the likeliest."
    ),
    max_tokens: int | None = typer.Option(None, "--max-tokens", help="Longest continuation."),
    seed: int = typer.Option(0, "--seed", help="Same seed, same text."),
    why: bool = typer.Option(False, "--why", help="Show for each token the likeliest candidates."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON lines."),
) -> None:
    """Write text with a trained model; --why shows what else could have come."""
    from dozero.cli.display import Display
    from dozero.cli.language import narration, pick_language
    from dozero.generate.language_model import LanguageModel
    from dozero.pipeline.stages import find_model, generate_settings

    rules = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p, "max_tokens": max_tokens}
    given = {key: value for key, value in rules.items() if value is not None}
    folder = find_model(run)
    config = generate_settings(folder, given)
    model = LanguageModel.open(folder)
    model.encode_prompt(prompt)  # a prompt that cannot be continued is told before anything is printed
    display = Display(narration(pick_language()), as_json=as_json)
    if why:
        for i in range(count):
            _explain(display, model, prompt, config, seed + i)
    elif as_json:
        for i, text in enumerate(model.generate_many(count, prompt, config, seed)):
            display.print_json({"text": text, "seed": seed + i})
    else:
        for i in range(count):
            typer.echo(prompt, nl=False)
            for piece in model.stream(prompt, config, seed + i):
                typer.echo(piece, nl=False)
            typer.echo()


def _explain(display: Display, model: LanguageModel, prompt: str, config: GenerateConfig, seed: int) -> None:
    """Print a line for each token: its chance, the chance that the rules left it, the doubt, the candidates."""
    from rich.markup import escape

    if not display.as_json:
        display.say("why_head")
    text = prompt
    for choice in model.explain(prompt, config, seed, CANDIDATES_SHOWN):
        if display.as_json:
            display.print_json(asdict(choice))
            continue
        chosen = choice.chosen
        others = "  ".join(f"{escape(c.text)} {c.probability:.0%}" for c in choice.candidates if c.text != chosen.text)
        text += choice.text
        display.line(
            f"[bold green]{escape(chosen.text):<14}[/] {chosen.probability:>6.1%}   {chosen.after_rules:>6.1%}   "
            f"{choice.entropy_bits:>5.2f} bits   [dim]{others}[/]"
        )
    if not display.as_json:
        display.line(f"= [bold]{escape(text)}[/]\n")
