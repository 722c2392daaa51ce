"""What `dozero generate` was asked for, carried out and shown."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import typer
from rich.markup import escape

from dozero.cli.display import Display
from dozero.cli.generate_compare import compare_rules, rule_sets
from dozero.cli.generate_messages import tell
from dozero.cli.language import narration, pick_language
from dozero.errors import ConfigError, DataError
from dozero.generate.beam import beam_search
from dozero.generate.explain import Candidate, Choice
from dozero.generate.json_schema import JsonSchema, read_schema
from dozero.generate.language_model import Completion, LanguageModel
from dozero.settings import GenerateConfig

CANDIDATES_SHOWN = 5
PROMPTS_AT_ONCE = 32
ENGINES, PRECISIONS = ("dozero", "llamacpp"), ("float32", "int8")


@dataclass(frozen=True)
class Wish:
    """The options of a call."""

    run: Path
    folder: Path
    config: GenerateConfig
    prompt: str
    prompts_file: Path | None
    count: int
    seed: int
    json_schema: Path | None
    beams: int
    length_penalty: float
    compare: str
    logprobs: int | None
    precision: str
    engine: str
    why: bool


@dataclass(frozen=True)
class View:
    """Where results go."""

    display: Display
    as_json: bool

    @classmethod
    def of_terminal(cls, *, as_json: bool) -> Self:
        """Return the view of this terminal, in its language."""
        return cls(Display(narration(pick_language()), as_json=as_json), as_json)

    def note(self, key: str, **values: object) -> None:
        """Print a remark on stderr: it is no result."""
        typer.echo(tell(self.display.lang, key, **values), err=True)

    def completion(self, done: Completion, **more: object) -> None:
        """Print a finished text."""
        if not self.as_json:
            typer.echo(done.prompt + done.text)
            return
        told: dict[str, object] = {"event": "Generated", "text": done.prompt + done.text, "seed": done.seed}
        told |= {"prompt": done.prompt, "finish": done.finish, "tokens": len(done.ids), **more}
        if done.logprobs:
            told["logprobs"] = [
                {"text": t.text, "id": t.id, "logprob": t.logprob}
                | {"top": [{"id": i, "text": text, "logprob": x} for i, text, x in t.top]}
                for t in done.logprobs
            ]
        self.display.print_json(told)


def carry_out(wish: Wish, view: View) -> None:
    """Write what was asked for; each mistake is told before anything is printed."""
    _check(wish)
    prompts = read_prompts(wish.prompts_file) if wish.prompts_file else [wish.prompt]
    if wish.engine == "llamacpp":
        from dozero.generate.llamacpp import LlamaCpp, find_gguf

        with LlamaCpp.open(find_gguf(wish.run)) as writer:
            schema = read_schema(wish.json_schema) if wish.json_schema else None
            for prompt in prompts:
                for i in range(wish.count):
                    view.completion(writer.finish(prompt, wish.config, wish.seed + i, wish.logprobs, schema))
        return
    model = open_model(wish, view)
    for prompt in prompts:
        model.request(prompt, wish.config, wish.seed)
    if wish.compare:
        compare_rules(view.display, model, prompts[0], rule_sets(wish.compare, wish.config), wish.count, wish.seed)
        return
    if wish.beams:
        for prompt in prompts:
            search(wish, model, prompt, view)
        return
    schema = JsonSchema(read_schema(wish.json_schema), model.tokenizer) if wish.json_schema else None
    if wish.why:
        for prompt in prompts:
            for i in range(wish.count):
                explain(view.display, model, prompt, wish.config, wish.seed + i, schema)
    elif view.as_json or wish.prompts_file:
        write_all(wish, model, prompts, schema, view)
    else:
        for i in range(wish.count):
            stream(wish, model, wish.seed + i, schema)


def _check(wish: Wish) -> None:
    for where, word, known in (("--engine", wish.engine, ENGINES), ("--precision", wish.precision, PRECISIONS)):
        if word not in known:
            raise ConfigError("unknown name", where=where, expected=" or ".join(known), got=repr(word))
    if wish.prompts_file and wish.prompt:
        raise ConfigError("a prompt and a file of prompts", where="--prompts-file", expected="one of them")
    if wish.beams and wish.count > wish.beams:
        raise ConfigError("more texts than beams", where="--count", expected=f"{wish.beams} or fewer", got=wish.count)
    only_one = [("--beams", wish.beams), ("--compare", wish.compare), ("--why", wish.why)]
    chosen = [name for name, value in only_one if value]
    if len(chosen) > 1:
        raise ConfigError("options that do not go together", where=" ".join(chosen), expected="one of them")
    if wish.engine == "llamacpp" and (chosen or wish.precision != "float32"):
        expected = "no --precision, --beams, --compare or --why: the precision is that of the file"
        raise ConfigError("llama.cpp does the writing", where="--engine llamacpp", expected=expected)
    if wish.json_schema and (wish.beams or wish.compare):
        raise ConfigError("a schema goes with sampling", where="--json-schema", expected="no --beams, no --compare")


def read_prompts(file: Path) -> list[str]:
    """Return the prompts of a file: its lines, or of JSON lines the field prompt; DataError where one is missing."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"prompts cannot be read ({error})", where=file) from None
    if file.suffix != ".jsonl":
        return lines or _no_prompts(file)
    prompts = list[str]()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            prompts.append(json.loads(line)["prompt"])
            if not isinstance(prompts[-1], str):
                raise TypeError
        except (ValueError, KeyError, TypeError):
            expected = 'an object such as {"prompt": "Era uma vez"}'
            raise DataError("not a prompt", where=f"{file}:{number}", expected=expected, got=line[:40]) from None
    return prompts or _no_prompts(file)


def _no_prompts(file: Path) -> list[str]:
    raise DataError("holds no prompts", where=file, expected="a prompt on each line")


def open_model(wish: Wish, view: View) -> LanguageModel:
    """Return the model in the form asked for; what int8 costs is measured on the held-out text beside it."""
    model = LanguageModel.open(wish.folder, precision=wish.precision)
    if model.decoder is None:
        view.note("slower")
    if wish.precision != "int8":
        return model
    from dozero.dataset.shards import open_dataset
    from dozero.errors import ArtifactError
    from dozero.generate.precision import bits_per_byte

    assert model.decoder is not None
    try:
        places = [parent / "work" / "dataset" for parent in wish.folder.resolve().parents[:4]]
        heldout = open_dataset(next((place for place in places if place.is_dir()), places[0])).heldout
    except ArtifactError:
        view.note("int8_unmeasured")
        return model
    ours = bits_per_byte(model.decoder, model.tokenizer, heldout)
    exact = bits_per_byte(model.model, model.tokenizer, heldout)
    if view.as_json:
        view.display.print_json({"event": "PrecisionMeasured", "bits_per_byte": ours, "float32_bits_per_byte": exact})
    else:
        view.note("int8_costs", ours=ours, exact=exact, loss=ours / exact - 1)
    return model


def write_all(wish: Wish, model: LanguageModel, prompts: list[str], schema: JsonSchema | None, view: View) -> None:
    """Write the texts of all prompts, some side by side, and print them in order."""
    wanted = [(prompt, wish.seed + i) for prompt in prompts for i in range(wish.count)]
    for start in range(0, len(wanted), PROMPTS_AT_ONCE):
        some = wanted[start : start + PROMPTS_AT_ONCE]
        requests = [
            model.request(prompt, wish.config, seed, schema.constraint() if schema else None) for prompt, seed in some
        ]
        for done in model.complete(requests, [prompt for prompt, _ in some], wish.logprobs):
            view.completion(done)


def stream(wish: Wish, model: LanguageModel, seed: int, schema: JsonSchema | None) -> None:
    """Print a text as it comes."""
    typer.echo(wish.prompt, nl=False)
    request = model.request(wish.prompt, wish.config, seed, schema.constraint() if schema else None)
    for piece in model.write([request]):
        typer.echo(piece.text, nl=False)
    typer.echo()


def search(wish: Wish, model: LanguageModel, prompt: str, view: View) -> None:
    """Print the best texts that beam search finds, each with its score."""
    ids, lang = model.encode_prompt(prompt), view.display.lang
    forward = model.decoder or model.model
    found = beam_search(forward, ids, wish.beams, wish.config.max_tokens, model.tokenizer.end_id, wish.length_penalty)
    for beam in found[: wish.count]:
        text = model.tokenizer.decode(beam.ids)
        if view.as_json:
            finish = "stop" if beam.ids[-1] == model.tokenizer.end_id else "length"
            view.completion(Completion(prompt, text, wish.seed, finish, beam.ids, []), score=beam.score)
        elif wish.count == 1:
            typer.echo(prompt + text)
        else:
            view.display.line(tell(lang, "score", score=float(beam.score), text=escape(prompt + text)))


def explain(
    display: Display, model: LanguageModel, prompt: str, config: GenerateConfig, seed: int, schema: JsonSchema | None
) -> None:
    """Print a line for each token: its chance, the chance that the rules left it, the doubt, the candidates, the cuts."""
    if not display.as_json:
        display.say("why_head")
    text = prompt
    constraint = schema.constraint() if schema else None
    for choice in model.explain(prompt, config, seed, CANDIDATES_SHOWN, constraint):
        if display.as_json:
            display.print_json(asdict(choice))
            continue
        text += choice.text
        display.line(_line_of(choice, display.lang))
    if not display.as_json:
        display.line(f"= [bold]{escape(text)}[/]\n")


def _line_of(choice: Choice, lang: str) -> str:
    chosen = choice.chosen
    if chosen.probability is None:
        return f"[bold green]{escape(chosen.text):<14}[/] [dim]{tell(lang, 'closed')}[/]"
    others = "  ".join(_rival(c) for c in choice.candidates if c.text != chosen.text)
    cuts = ", ".join(f"{rule} {count}" for rule, count in choice.cuts.items() if rule != "temperature")
    return (
        f"[bold green]{escape(chosen.text):<14}[/] {chosen.probability:>6.1%}   {chosen.after_rules:>6.1%}   "
        f"{choice.entropy_bits:>5.2f} bits   [dim]{others}{'   ' + tell(lang, 'cuts', cuts=cuts) if cuts else ''}[/]"
    )


def _rival(candidate: Candidate) -> str:
    """Return a candidate with its chance, and the rule that took it out."""
    cut = f" ✂{candidate.cut_by}" if candidate.cut_by and candidate.cut_by != "temperature" else ""
    return f"{escape(candidate.text)} {candidate.probability:.0%}{cut}"
