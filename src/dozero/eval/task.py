r"""Tasks: what is asked of a model and how its answers are marked, as a few lines of TOML beside a JSONL file.

    [task]
    kind = "choice"
    prompt = "Pergunta: {question}\nResposta:"

Each line of the JSONL file is an item: an object whose fields the prompt names in braces. `kind` says how the items are
marked; the docstrings of `TaskConfig` what else can be set.
"""

from __future__ import annotations

import json
import random
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from dozero.durable import sha256_of
from dozero.errors import ConfigError, DataError, did_you_mean
from dozero.settings import Config, Names

KINDS = ("text", "choice", "exact", "label", "translate", "free")
BUNDLED = Path(__file__).with_name("tasks")
SLOT = re.compile(r"\{(\w+)\}")

Item = dict[str, Any]


class TaskConfig(Config):
    """A task: the table `[task]` of its file."""

    kind: Literal["text", "choice", "exact", "label", "translate", "free"]
    """text: bits per byte; choice: the likeliest of several answers; exact: the answer written, compared after being
    normalised; label: the likeliest of a few labels; translate and free: the text written, by BLEU and chrF."""
    about: str = ""
    """What it asks, in a few words."""
    lang: str = ""
    """Language of the items, such as pt or en."""
    licence: str = ""
    """Licence of the items."""
    data: str = ""
    """File of the items, beside this one; empty takes the same name with .jsonl."""
    prompt: str = "{prompt}"
    """What stands before the answer; {name} is a field of the item."""
    text: str = "text"
    """text: the field that holds the text."""
    choices: str = "choices"
    """choice: the field that lists the answers to choose from."""
    answer: str = "answer"
    """The field that holds what is right: an answer or its place among the choices, a label, or one or several references."""
    labels: Names = ()
    """label: all labels; empty takes those that occur."""
    words: dict[str, str] = Field(default_factory=dict)
    """label: the word by which a label is asked for, where that is not the label itself."""
    join: str = " "
    """What stands between prompt and answer."""
    shots: int = Field(default=0, ge=0, le=32)
    """Examples with their answers that stand before each item."""
    examples: str = ""
    """File of the examples; empty takes other items of the task."""
    between: str = "\n\n"
    """What stands between examples."""
    normalise: tuple[Literal["case", "accents", "punctuation", "articles"], ...] = Field(
        default=("case", "punctuation"), strict=False
    )
    """exact: differences that do not count. Runs of spaces never do."""
    max_tokens: int = Field(default=48, ge=1)
    """exact, translate, free: longest answer, in tokens."""
    stop: Names = ("\n",)
    """exact, translate, free: the answer ends before any of these."""


@dataclass(frozen=True)
class Task:
    """A task ready to be asked."""

    name: str
    config: TaskConfig
    items: tuple[Item, ...]
    """Each has a field `where`: its line in the file."""
    digest: str
    """SHA-256 of what the task is made of."""
    examples: tuple[Item, ...] = ()
    of_items: int = 0
    """Items there are, where not all are asked."""

    def prompt_of(self, item: Item) -> str:
        """Return what stands before the answer of an item, the examples included."""
        pool = self.examples or self.items
        shots = [shot for shot in pool if shot is not item]
        drawn = random.Random(f"{self.name}/{item['where']}").sample(shots, min(self.config.shots, len(shots)))
        told = [self._asked(shot) + self.config.join + right_answer(self.config, shot) for shot in drawn]
        return self.config.between.join([*told, self._asked(item)])

    def _asked(self, item: Item) -> str:
        return SLOT.sub(lambda slot: str(field_of(item, slot[1])), self.config.prompt)


def list_tasks() -> list[str]:
    """Return the names of the tasks that come with dozero, apart from the minimal pairs."""
    return sorted(file.stem for file in BUNDLED.glob("*.toml"))


def load_task(name: str, limit: int = 0, others: Sequence[str] = ()) -> Task:
    """Return the task of a TOML file or of a bundled name, with at most `limit` items (0: all).

    ConfigError for an unknown task or setting, DataError for a file without items or an item without what it needs.
    `others` are names of what is asked without a task file, which a slip of the pen may have meant.
    """
    file = _find(name, others)
    config = read_task_config(file)
    data = file.with_name(config.data or f"{file.stem}.jsonl")
    items = read_items(data)
    examples = read_items(file.with_name(config.examples)) if config.examples else []
    for item in (*items, *examples):
        check_item(config, item)
    if config.kind == "label" and not config.labels:
        found = sorted({str(item[config.answer]) for item in items})
        config = config.model_copy(update={"labels": tuple(found)})
    digest = "-".join(
        sha256_of(path)[:16] for path in (file, data, *([file.with_name(config.examples)] if examples else []))
    )
    asked = tuple(items[i] for i in choose_places(len(items), limit))
    return Task(file.stem, config, asked, digest, tuple(examples), len(items))


def choose_places(count: int, limit: int) -> list[int]:
    """Return at most `limit` (0: all) of the places 0 to count - 1, drawn alike each time, in their order."""
    if not 0 < limit < count:
        return list(range(count))
    return sorted(random.Random(count).sample(range(count), limit))


def _find(name: str, others: Sequence[str]) -> Path:
    path = Path(name)
    if path.suffix == ".toml" or path.is_file():
        if not path.is_file():
            raise ConfigError("no such task file", where=path, next="dozero eval --list")
        return path
    if name in list_tasks():
        return BUNDLED / f"{name}.toml"
    known = [*list_tasks(), *others]
    hint = did_you_mean(name, known)
    raise ConfigError(
        "unknown task" + (f", did you mean {hint}?" if hint else ""), where=name,
        expected=f"a TOML file or one of {', '.join(known)}", next="dozero eval --list",
    )  # fmt: skip


def read_task_config(file: Path) -> TaskConfig:
    """Return the `[task]` table of a file, checked."""
    try:
        tree = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot be read ({error})", where=file, expected="a TOML file in UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"not valid TOML: {error}", where=file) from None
    if set(tree) != {"task"} or not isinstance(tree["task"], dict):
        raise ConfigError("not a task", where=file, expected="one table [task]", got=", ".join(tree) or "nothing")
    try:
        return TaskConfig.model_validate(tree["task"])
    except ValidationError as error:
        fault = error.errors()[0]
    key, known = ".".join(map(str, fault["loc"])), list(TaskConfig.model_fields)
    if fault["type"] == "extra_forbidden":
        hint = did_you_mean(key, known)
        raise ConfigError(
            f"unknown setting task.{key}" + (f", did you mean {hint}?" if hint else ""), where=file,
            expected=f"one of {', '.join(known)}",
        )  # fmt: skip
    message, got = fault["msg"], None if fault["type"] == "missing" else repr(fault["input"])
    raise ConfigError(f"task.{key}: {message[:1].lower()}{message[1:]}", where=file, got=got)


def read_items(file: Path) -> list[Item]:
    """Return the objects of a JSONL file, each with its place under `where`; DataError if there is none."""
    try:
        lines = file.read_text(encoding="utf-8-sig").split("\n")
    except FileNotFoundError:
        raise DataError("no such file of items", where=file, expected="JSONL: one object a line") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read ({error})", where=file, expected="JSONL in UTF-8") from None
    items = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{file}#{number}"
        try:
            item = json.loads(line)
        except ValueError as error:
            raise DataError(f"not JSON ({error})", where=where, expected="one object a line", got=line[:60]) from None
        if not isinstance(item, dict):
            raise DataError("not an object", where=where, expected='{"field": ...}', got=line[:60])
        items.append({**item, "where": where})
    if not items:
        raise DataError("holds no items", where=file, expected="JSONL: one object a line")
    return items


def field_of(item: Item, name: str) -> Any:
    """Return a field of an item; DataError names the item and the fields it has."""
    if name not in item:
        known = [key for key in item if key != "where"]
        hint = did_you_mean(name, known)
        raise DataError(
            f"no field {name!r}" + (f", did you mean {hint!r}?" if hint else ""), where=item["where"],
            expected=f"{name!r} among its fields", got=", ".join(known) or "none",
        )  # fmt: skip
    return item[name]


def check_item(config: TaskConfig, item: Item) -> None:
    """Raise DataError unless the item has what its kind of task needs."""
    if config.kind == "text":
        _expect(item, config.text, isinstance(field_of(item, config.text), str), "text")
        return
    for slot in SLOT.findall(config.prompt):
        field_of(item, slot)
    answer = field_of(item, config.answer)
    if config.kind == "choice":
        choices = field_of(item, config.choices)
        is_list = isinstance(choices, list) and len(choices) > 1 and all(isinstance(c, str) and c for c in choices)
        _expect(item, config.choices, is_list, "a list of two or more answers")
        place = isinstance(answer, int) and not isinstance(answer, bool) and 0 <= answer < len(choices)
        _expect(item, config.answer, place or answer in choices, "one of the choices, or its place counted from 0")
    elif config.kind == "label":
        is_label = isinstance(answer, str | int) and (not config.labels or str(answer) in config.labels)
        _expect(item, config.answer, is_label, f"one of {', '.join(config.labels)}" if config.labels else "a label")
    else:
        _expect(item, config.answer, bool(references_of(config, item)), "text, or a list of texts")


def _expect(item: Item, name: str, holds: bool, expected: str) -> None:
    if not holds:
        raise DataError(f"field {name!r} is wrong", where=item["where"], expected=expected, got=repr(item[name])[:80])


def right_choice(config: TaskConfig, item: Item) -> int:
    """Return the place of the right choice of an item."""
    answer = item[config.answer]
    return answer if isinstance(answer, int) else item[config.choices].index(answer)


def references_of(config: TaskConfig, item: Item) -> list[str]:
    """Return the texts that are right; none if the field does not hold any."""
    answer = item[config.answer]
    texts = answer if isinstance(answer, list) else [answer]
    return [text for text in texts if isinstance(text, str) and text] if all(isinstance(t, str) for t in texts) else []


def word_of(config: TaskConfig, label: str) -> str:
    """Return the word by which a label is asked for."""
    return config.words.get(label, label)


def right_answer(config: TaskConfig, item: Item) -> str:
    """Return what should stand after the prompt of an item."""
    if config.kind == "choice":
        return item[config.choices][right_choice(config, item)]
    if config.kind == "label":
        return word_of(config, str(item[config.answer]))
    return references_of(config, item)[0]
