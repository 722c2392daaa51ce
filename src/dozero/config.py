"""How settings are filled in: field default < preset (`extends`) < file < command line."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from dozero.errors import ConfigError, did_you_mean
from dozero.settings import Config, RunConfig


def list_presets() -> list[str]:
    """Return the names that `extends` accepts, apart from paths of files."""
    folder = resources.files("dozero") / "presets"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_config(path: str | Path | None = None, overrides: Sequence[str] = (), preset: str | None = None) -> RunConfig:
    """Return the settings of a TOML file (if any) over its preset, with `section.key=value` overrides on top.

    Raises ConfigError naming file, key, what was expected and, for a misspelt key, the nearest one.
    """
    tree: dict[str, Any] = {}
    if path is not None:
        tree = _read_toml(Path(path))
    if preset is not None:
        tree.setdefault("extends", preset)
    base = tree.pop("extends", None)
    if base is not None:
        tree = merge(_read_preset(base, path), tree)
    for text in overrides:
        tree = merge(tree, parse_override(text))
    return build_config(tree, where=str(path) if path is not None else None)


def build_config(tree: Mapping[str, Any], where: str | None = None) -> RunConfig:
    """Return the RunConfig of a plain tree, or raise ConfigError for its first fault."""
    try:
        return RunConfig.model_validate(tree)
    except ValidationError as error:
        raise _explain(error.errors()[0], where) from None


def parse_override(text: str) -> dict[str, Any]:
    """Return the tree of one `section.key=value`; the value is TOML, or else plain text.

    >>> parse_override("train.steps=200"), parse_override("data.lang=pt")
    ({'train': {'steps': 200}}, {'data': {'lang': 'pt'}})
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError("not a setting", where=text, expected="section.key=value", next="train.steps=200")
    try:
        leaf: Any = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        leaf = value.strip()
    for name in reversed(key.strip().split(".")):
        leaf = {name: leaf}
    return leaf


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tree in which the values of `above` replace those of `below`, table by table.

    >>> merge({"a": {"x": 1, "y": 2}}, {"a": {"y": 3}})
    {'a': {'x': 1, 'y': 3}}
    """
    result = dict(below)
    for key, value in above.items():
        old = result.get(key)
        result[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


def to_toml(config: RunConfig) -> str:
    """Return the settings as a TOML document, each field under its help text; reading it gives them back."""
    lines = [f"seed = {config.seed}"]
    for name, section in _sections(config):
        lines += ["", f"[{name}]"]
        for key, field in type(section).model_fields.items():
            lines += [f"# {field.description}", f"{key} = {toml_value(getattr(section, key))}"]
    return "\n".join(lines) + "\n"


def _sections(config: RunConfig) -> Iterator[tuple[str, Config]]:
    for name in type(config).model_fields:
        value = getattr(config, name)
        if isinstance(value, Config):
            yield name, value


def toml_value(value: object) -> str:
    """Return a value as TOML writes it on one line.

    >>> toml_value(("pt", {"weight": 2.0}))
    '["pt", {weight = 2.0}]'
    """
    if isinstance(value, Config):
        value = value.model_dump()
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {toml_value(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    assert isinstance(value, bool | int | float | str), type(value)
    # Numbers, booleans and strings look as in JSON, all but one control character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError("no such file", where=path, next="dozero new my-llm --preset words") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot be read ({error})", where=path, expected="a TOML file in UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"not valid TOML: {error}", where=path) from None


def _read_preset(name: object, path: str | Path | None) -> dict[str, Any]:
    if not isinstance(name, str) or name not in list_presets():
        hint = did_you_mean(str(name), list_presets())
        raise ConfigError(
            "unknown preset" + (f", did you mean {hint}?" if hint else ""),
            where=path,
            expected=" or ".join(list_presets()),
            got=name,
        )
    return tomllib.loads((resources.files("dozero") / "presets" / f"{name}.toml").read_text(encoding="utf-8"))


def _known_keys(location: Sequence[int | str]) -> list[str]:
    """Return the keys of the table that holds the last element of `location`."""
    table: Any = RunConfig
    for name in location[:-1]:
        if isinstance(name, str):  # a number stands for one of several tables of a list
            table = table.model_fields[name].annotation
            table = get_args(table)[0] if get_origin(table) is tuple else table
    return list(table.model_fields)


def _explain(fault: ErrorDetails, where: str | None) -> ConfigError:
    key = ".".join(str(part) for part in fault["loc"]) or "settings"
    if fault["type"] == "extra_forbidden":
        known = _known_keys(fault["loc"])
        hint = did_you_mean(str(fault["loc"][-1]), known)
        what = f"unknown setting {key}" + (f", did you mean {hint}?" if hint else "")
        return ConfigError(what, where=where, expected=f"one of {', '.join(known)}")
    message = fault["msg"].removeprefix("Value error, ")
    got = None if isinstance(fault["input"], Mapping | Config) else repr(fault["input"])
    return ConfigError(f"{key}: {message[:1].lower()}{message[1:]}", where=where, got=got)
