"""The one tree of settings: field default < preset (`extends`) < file < command line.

Every field's docstring is its help text, its label in forms and its row in the reference table. The objects are
frozen and refuse unknown keys; what follows from other fields is a property.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from dozero.errors import ConfigError, did_you_mean


class Config(BaseModel):
    """Base of all settings: frozen, no unknown keys, no NaN or infinity, docstrings as descriptions."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False, strict=True
    )


class DataConfig(Config):
    """Where the text comes from and what of it is kept."""

    source: str = "words"
    """A name of the catalog (`words`: word lists by frequency), or a text file with one word a line."""
    lang: str = "en"
    """Language code of the catalog's text, such as pt, en, es or de."""
    max_words: int = Field(default=0, ge=0)
    """Keep only this many words, the most frequent first; 0 keeps all."""
    min_letters: int = Field(default=2, ge=1)
    """Shortest word kept, in letters."""
    max_letters: int = Field(default=20, ge=1)
    """Longest word kept, in letters."""
    foreign_ratio: float = Field(default=3.0, ge=0)
    """Drop a word this many times more frequent in another large European language; 0 switches the filter off."""
    heldout_percent: float = Field(default=10.0, gt=0, lt=100)
    """Share of the words kept out of training, chosen by a hash of the word itself."""

    @model_validator(mode="after")
    def _lengths_in_order(self) -> Self:
        if self.min_letters > self.max_letters:
            raise ValueError(f"min_letters ({self.min_letters}) is larger than max_letters ({self.max_letters})")
        return self


class TokenizerConfig(Config):
    """How text becomes tokens."""

    kind: Literal["char"] = "char"
    """`char`: one token for each character of the training text."""


class ModelConfig(Config):
    """The shape of the transformer."""

    d_model: int = Field(default=128, ge=8)
    """C: width of the residual stream."""
    n_layers: int = Field(default=2, ge=1)
    """L: number of blocks."""
    n_heads: int = Field(default=4, ge=1)
    """H: query heads in each block."""
    n_kv_heads: int = Field(default=4, ge=1)
    """K: key/value heads, shared by groups of query heads when fewer than n_heads."""
    head_dim: int = Field(default=32, ge=2, multiple_of=2)
    """D: width of one head."""
    d_ff: int = Field(default=384, ge=8)
    """F: inner width of the MLP."""
    max_seq_len: int = Field(default=64, ge=8)
    """Longest context, in tokens; also the length of a training row."""
    qk_norm: bool = True
    """Normalise queries and keys (the model is then a Qwen3, otherwise a Llama)."""
    attention_bias: bool = False
    """Biases on the query, key and value projections (Qwen2); goes with qk_norm = false."""
    tie_embeddings: bool = False
    """Use one matrix for embedding and output head."""
    rope_theta: float = Field(default=10000.0, gt=0)
    """Base of the rotary position angles."""
    norm_eps: float = Field(default=1e-6, gt=0)
    """Added to the mean square in each norm."""

    @model_validator(mode="after")
    def _shapes_agree(self) -> Self:
        if self.n_heads % self.n_kv_heads:
            raise ValueError(f"n_heads ({self.n_heads}) must be a multiple of n_kv_heads ({self.n_kv_heads})")
        if self.attention_bias and self.qk_norm:
            raise ValueError("attention_bias needs qk_norm = false: no published architecture has both")
        return self

    @property
    def architecture(self) -> str:
        """The Hugging Face class that opens this model unconverted."""
        if self.qk_norm:
            return "Qwen3ForCausalLM"
        return "Qwen2ForCausalLM" if self.attention_bias else "LlamaForCausalLM"


class OptimConfig(Config):
    """How weights move: Muon on the matrices inside the blocks, AdamW on everything else."""

    muon_lr: float = Field(default=0.03, gt=0)
    """Peak learning rate of Muon."""
    adam_lr: float = Field(default=0.01, gt=0)
    """Peak learning rate of AdamW."""
    momentum: float = Field(default=0.95, ge=0, lt=1)
    """Momentum of Muon."""
    beta1: float = Field(default=0.9, ge=0, lt=1)
    """Decay of AdamW's mean of gradients."""
    beta2: float = Field(default=0.95, ge=0, lt=1)
    """Decay of AdamW's mean of squared gradients."""
    eps: float = Field(default=1e-8, gt=0)
    """Added to AdamW's denominator."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Decoupled weight decay of the matrices, times the learning rate at each step."""
    clip: float = Field(default=1.0, gt=0)
    """Largest norm of the whole gradient; a longer one is scaled down to it."""
    warmup: float = Field(default=0.05, ge=0, lt=1)
    """Share of the steps during which the learning rate rises."""
    decay: float = Field(default=0.6, ge=0, le=1)
    """Share of the steps, at the end, during which it falls to zero."""

    @model_validator(mode="after")
    def _phases_fit(self) -> Self:
        if self.warmup + self.decay > 1:
            raise ValueError(f"warmup ({self.warmup}) + decay ({self.decay}) is more than the whole run")
        return self


class TrainConfig(Config):
    """How long, in which portions, on what, and how often to look."""

    steps: int = Field(default=1000, ge=1)
    """Number of updates of the weights."""
    max_seconds: float = Field(default=0.0, ge=0)
    """End the run sooner, its learning rate brought down in good order, if it would train longer than this; 0 lets it."""
    batch_tokens: int = Field(default=4096, ge=8)
    """Token positions in one step, rounded down to whole rows."""
    device: str = "auto"
    """auto, cpu, cuda or mps."""
    dtype: str = "auto"
    """What matrix products are computed in: auto, float32 or bfloat16. Weights and updates stay in float32."""
    threads: int = Field(default=0, ge=0)
    """CPU threads; 0 takes the physical cores."""
    log_every: int = Field(default=10, ge=1)
    """Steps between two lines of metrics.jsonl."""
    eval_every: int = Field(default=100, ge=1)
    """Steps between two measurements of the held-out loss on a part of the held-out documents."""
    sample_every: int = Field(default=100, ge=1)
    """Steps between two samples."""
    save_every: int = Field(default=200, ge=1)
    """Steps between two checkpoints."""
    keep: int = Field(default=2, ge=1)
    """Checkpoints kept; older ones are deleted once a newer one is verified."""


class EvalConfig(Config):
    """What is measured while training."""

    heldout_docs: int = Field(default=1000, ge=1)
    """Held-out documents scored at each eval_every; the end of a run scores all."""


class GenerateConfig(Config):
    """How the next token is chosen from the probabilities."""

    temperature: float = Field(default=1.0, ge=0)
    """Below 1 sharpens the probabilities, above 1 flattens them; 0 always takes the likeliest token."""
    top_k: int = Field(default=0, ge=0)
    """Choose among this many likeliest tokens; 0 means all."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Choose among the likeliest tokens that together hold this probability."""
    min_p: float = Field(default=0.0, ge=0, le=1)
    """Choose among tokens at least this fraction as likely as the likeliest."""
    max_tokens: int = Field(default=64, ge=1)
    """Longest continuation, in tokens."""


class RunConfig(Config):
    """Everything that decides what a run computes."""

    seed: int = Field(default=0, ge=0)
    """Source of all randomness."""
    data: DataConfig = DataConfig()
    """Where the text comes from and what of it is kept."""
    tokenizer: TokenizerConfig = TokenizerConfig()
    """How text becomes tokens."""
    model: ModelConfig = ModelConfig()
    """The shape of the transformer."""
    optim: OptimConfig = OptimConfig()
    """How weights move."""
    train: TrainConfig = TrainConfig()
    """How long, in which portions, on what, and how often to look."""
    eval: EvalConfig = EvalConfig()
    """What is measured while training."""
    generate: GenerateConfig = GenerateConfig()
    """How the next token is chosen."""

    @model_validator(mode="after")
    def _batch_holds_a_row(self) -> Self:
        if self.train.batch_tokens < self.model.max_seq_len:
            raise ValueError(
                f"train.batch_tokens ({self.train.batch_tokens}) is less than one row of "
                f"model.max_seq_len ({self.model.max_seq_len}) tokens"
            )
        return self

    @property
    def rows_per_step(self) -> int:
        """Rows of max_seq_len tokens in one step."""
        return self.train.batch_tokens // self.model.max_seq_len


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
    """Return a value as TOML writes it: numbers, booleans and strings look as in JSON, all but one control character."""
    assert isinstance(value, bool | int | float | str), type(value)
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
        table = table.model_fields[name].annotation
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
