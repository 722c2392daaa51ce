"""`dozero generate`: text from a model, why it came so, and how rules of sampling compare."""

from __future__ import annotations

from pathlib import Path

import typer


def generate(
    run: Path = typer.Argument(
        help="A workspace, run, checkpoint or model folder; with --engine llamacpp also a GGUF."
    ),
    prompt: str = typer.Argument("", help="What the text begins with."),
    count: int = typer.Option(1, "-n", "--count", min=1, help="How many texts of each prompt."),
    prompts_file: Path | None = typer.Option(None, "--prompts-file", help="Lines, or JSON lines with prompt."),
    temperature: float | None = typer.Option(None, "--temperature", help="0 takes the likeliest; 1 draws as learned."),
    top_k: int | None = typer.Option(None, "--top-k", help="Draw from this many likeliest tokens; 0: all."),
    top_p: float | None = typer.Option(None, "--top-p", help="Draw from the likeliest that hold this probability."),
    min_p: float | None = typer.Option(None, "--min-p", help="Draw from those this near the likeliest, 0 to 1."),
    repetition_penalty: float | None = typer.Option(
        None, "--repetition-penalty", help="Above 1: tokens of the prompt and the text so far become less likely."
    ),
    presence_penalty: float | None = typer.Option(None, "--presence-penalty", help="Off tokens written."),
    frequency_penalty: float | None = typer.Option(None, "--frequency-penalty", help="The same, each time."),
    logit_bias: list[str] | None = typer.Option(
        None, "--logit-bias", help="ID=NUMBER, added to the logit of a token; -100 rules it out. May be repeated."
    ),
    stop: list[str] | None = typer.Option(None, "--stop", help="End before this; repeatable; \\n ends a line."),
    max_tokens: int | None = typer.Option(None, "--max-tokens", help="Longest continuation."),
    speculate: int | None = typer.Option(None, "--speculate", help="Guess tokens ahead: same text, sooner."),
    seed: int = typer.Option(0, "--seed", help="Same seed, same text."),
    beams: int = typer.Option(0, "--beams", min=0, help="Search the likeliest texts with so many beams; -n of them."),
    length_penalty: float = typer.Option(1.0, "--length-penalty", help="With --beams: above 0 favours longer texts."),
    json_schema: Path | None = typer.Option(None, "--json-schema", help="Write JSON of this file's schema."),
    why: bool = typer.Option(False, "--why", help="Show the likeliest candidates and what cut which."),
    compare: str = typer.Option(
        "", "--compare", help="Rules side by side: greedy,t=0.8,top_p=0.9 or t=0.8+min_p=0.05."
    ),
    logprobs: int | None = typer.Option(
        None, "--logprobs", min=0, max=100, help="With --json: log-probabilities, with so many rivals of each token."
    ),
    precision: str = typer.Option("float32", "--precision", help="float32, or int8: weights of a quarter the size."),
    engine: str = typer.Option("dozero", "--engine", help="dozero, or llamacpp: the run's GGUF export."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON lines."),
) -> None:
    """Write text with a trained model; --why shows what else could have come, --compare how rules of sampling differ."""
    from dozero.cli.generate_view import View, Wish, carry_out
    from dozero.pipeline.stages import find_model, generate_settings

    rules = {
        "temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p, "max_tokens": max_tokens,
        "repetition_penalty": repetition_penalty, "presence_penalty": presence_penalty,
        "frequency_penalty": frequency_penalty, "speculate": speculate, "logit_bias": logit_bias or None,
        "stop": [text.replace("\\n", "\n") for text in stop] if stop else None,
    }  # fmt: skip
    given = {key: value for key, value in rules.items() if value is not None}
    is_file = engine == "llamacpp" and run.suffix == ".gguf"
    folder = run if is_file else find_model(run)
    config = generate_settings(folder.parent if is_file else folder, given)
    wish = Wish(
        run, folder, config, prompt, prompts_file, count, seed, json_schema, beams, length_penalty, compare, logprobs,
        precision, engine, why,
    )  # fmt: skip
    carry_out(wish, View.of_terminal(as_json=as_json))
