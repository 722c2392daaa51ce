"""`dozero generate --compare`: rules of sampling side by side, their texts measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rich import box
from rich.markup import escape
from rich.table import Table

from dozero.cli.corpus_messages import decimal
from dozero.cli.display import Display
from dozero.cli.generate_messages import tell
from dozero.config import build_config
from dozero.errors import ConfigError, did_you_mean
from dozero.generate.language_model import LanguageModel
from dozero.generate.variety import distinct_share, repeated_share
from dozero.settings import GenerateConfig

FEWEST_TEXTS = 8
SHORT = {
    "t": "temperature",
    "repetition": "repetition_penalty",
    "presence": "presence_penalty",
    "frequency": "frequency_penalty",
}
WHOLE = ("top_k",)
NAMES = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty")
NEUTRAL = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "repetition_penalty": 1.0,
           "presence_penalty": 0.0, "frequency_penalty": 0.0}  # fmt: skip


@dataclass(frozen=True)
class Variety:
    """What the texts of one rule are like."""

    rule: str
    repeated_4grams: float
    distinct: tuple[float, float, float]
    tokens_per_text: float
    texts: list[str]


def rule_sets(words: str, config: GenerateConfig) -> dict[str, GenerateConfig]:
    """Return the settings of each rule named, over neutral ones: `greedy`, or `name=value` joined by +.

    >>> [c.temperature for c in rule_sets("greedy,t=0.8+top_p=0.9", GenerateConfig()).values()]
    [0.0, 0.8]
    """
    sets = {}
    for name in filter(None, (word.strip() for word in words.split(","))):
        values: dict[str, Any] = dict(NEUTRAL)
        for part in name.split("+") if name != "greedy" else ["t=0"]:
            key, _, value = part.partition("=")
            key = SHORT.get(key.strip(), key.strip())
            if key not in NAMES:
                near = did_you_mean(key, (*NAMES, *SHORT, "greedy"))
                expected = f"greedy, t, {', '.join(NAMES[1:])}"
                raise ConfigError("no such rule", where="--compare", expected=expected, got=repr(part), next=near)
            values[key] = _number(value, part, whole=key in WHOLE)
        kept = config.model_dump() | values
        sets[name] = build_config({"generate": kept}).generate
    if not sets:
        raise ConfigError("names no rule", where="--compare", expected="greedy,t=0.8,top_p=0.9")
    return sets


def _number(value: str, part: str, *, whole: bool) -> float | int:
    try:
        return int(value) if whole else float(value)
    except ValueError:
        expected = "a whole number" if whole else "a number"
        raise ConfigError("not a value", where="--compare", expected=expected, got=repr(part)) from None


def measure_variety(
    model: LanguageModel, prompt: str, rule: str, config: GenerateConfig, count: int, seed: int
) -> Variety:
    """Return what `count` texts of a rule are like; text i has seed + i, whatever the rule."""
    requests = [model.request(prompt, config, seed + i) for i in range(count)]
    done = model.complete(requests, [prompt] * count)
    ids = [[i for i in text.ids if i != model.tokenizer.end_id] for text in done]
    distinct = (distinct_share(ids, 1), distinct_share(ids, 2), distinct_share(ids, 3))
    texts = [text.prompt + text.text for text in done]
    return Variety(rule, repeated_share(ids), distinct, sum(map(len, ids)) / count, texts)


def compare_rules(
    display: Display, model: LanguageModel, prompt: str, rules: dict[str, GenerateConfig], count: int, seed: int
) -> None:
    """Print texts of each rule side by side, and what they are like."""
    count = max(count, FEWEST_TEXTS)
    found = [measure_variety(model, prompt, name, config, count, seed) for name, config in rules.items()]
    lang = display.lang
    if display.as_json:
        for one in found:
            figures = {"repeated_4grams": one.repeated_4grams, "tokens_per_text": one.tokens_per_text}
            figures |= {f"distinct_{n}": share for n, share in enumerate(one.distinct, start=1)}
            display.print_json({"event": "Compared", "rule": one.rule, **figures, "texts": one.texts})
        return
    display.line(tell(lang, "compare_head", count=count, first=seed, last=seed + count - 1))
    table = Table(box=box.SIMPLE_HEAD)
    for key in ("rule", "repeated", "distinct", "length", "example"):
        table.add_column(tell(lang, key), overflow="fold")
    for one in found:
        distinct = " / ".join(decimal(lang, share, 2) for share in one.distinct)
        figures = (decimal(lang, one.repeated_4grams, 3), distinct, decimal(lang, one.tokens_per_text, 1))
        table.add_row(escape(one.rule), *figures, escape(one.texts[0]))
    display.out.print(table, soft_wrap=False)
