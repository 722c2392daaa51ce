"""What config.py promises: one tree, four sources in order of precedence, and a line for everything it refuses."""

import math
import tomllib
from importlib import resources
from typing import Literal, get_args, get_origin

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozero.config import build_config, list_presets, load_config, merge, parse_override, to_toml, toml_value
from dozero.errors import ConfigError
from dozero.settings import Config, ModelConfig, RunConfig

BOUNDS = ("ge", "gt", "le", "lt", "multiple_of")


def is_section(field):
    return isinstance(field.annotation, type) and issubclass(field.annotation, Config)


def leaves(model=RunConfig, prefix=""):
    """Every setting of the tree as (dotted key, field)."""
    for name, field in model.model_fields.items():
        if is_section(field):
            yield from leaves(field.annotation, f"{prefix}{name}.")
        else:
            yield prefix + name, field


LEAVES = dict(leaves())
SECTIONS = [name for name, field in RunConfig.model_fields.items() if is_section(field)]


def bounds(field):
    return {name: getattr(m, name) for m in field.metadata for name in BOUNDS if getattr(m, name, None) is not None}


def tree_of(key, value):
    for name in reversed(key.split(".")):
        value = {name: value}
    return value


def value_at(tree, key):
    for name in key.split("."):
        tree = tree[name]
    return tree


def is_one_line(error, *parts):
    text = str(error)
    return "\n" not in text and all(part in text for part in parts)


# --- there and back ----------------------------------------------------------------------------------------------


def values_of(field):
    """Any value the field alone accepts."""
    kind, limits = field.annotation, bounds(field)
    if is_section(field):
        return trees_of(kind)
    if get_origin(kind) is Literal:
        return st.sampled_from(get_args(kind))
    if kind is int:
        step = limits.get("multiple_of", 1)
        return st.integers(math.ceil(limits["ge"] / step), 10**6).map(lambda n: n * step)
    if kind is float:
        return st.floats(
            min_value=limits.get("gt", limits.get("ge")),
            max_value=limits.get("lt", limits.get("le")),
            exclude_min="gt" in limits,
            exclude_max="lt" in limits,
            allow_nan=False,
            allow_infinity=False,
        )
    if get_origin(kind) is tuple:
        inner = get_args(kind)[0]
        return st.lists(st.text() if inner is str else trees_of(inner), max_size=3)
    return {bool: st.booleans(), str: st.text()}[kind]


def trees_of(model):
    return st.fixed_dictionaries({name: values_of(field) for name, field in model.model_fields.items()})


def in_agreement(tree):
    """The same tree with what the rules between fields ask for."""
    data, model, optim, train = tree["data"], tree["model"], tree["optim"], tree["train"]
    data["min_letters"], data["max_letters"] = sorted((data["min_letters"], data["max_letters"]))
    model["n_heads"] = model["n_kv_heads"] * (model["n_heads"] % 8 + 1)
    model["attention_bias"] &= not model["qk_norm"]
    if optim["warmup"] + optim["decay"] > 1:
        optim["decay"] = (1 - optim["warmup"]) / 2
    tree["scale"]["partition"] = tree["scale"]["partition"] or "cpu"
    tree["generate"]["stop"] = [stop for stop in tree["generate"]["stop"] if stop]
    tree["generate"]["logit_bias"] = [f"{len(text)}=-1.5" for text in tree["generate"]["logit_bias"]]
    train["batch_tokens"] = max(train["batch_tokens"], model["max_seq_len"])
    train["verify_slots"] = min(train["verify_slots"], train["batch_tokens"] // model["max_seq_len"])
    train["shard"] &= not train["verify_slots"]
    if train["micro_batch_tokens"]:
        train["micro_batch_tokens"] = max(train["micro_batch_tokens"], model["max_seq_len"])
    return tree


CONFIGS = trees_of(RunConfig).map(in_agreement).map(build_config)


@given(config=CONFIGS)
def test_a_written_file_gives_the_same_settings_back(config, tmp_path_factory):
    file = tmp_path_factory.mktemp("config") / "run.toml"
    file.write_text(to_toml(config), encoding="utf-8")
    assert load_config(file) == config
    assert to_toml(load_config(file)) == to_toml(config)


@given(config=CONFIGS)
def test_every_setting_can_be_given_on_the_command_line(config):
    tree = config.model_dump()
    overrides = [f"{key}={toml_value(value_at(tree, key))}" for key in LEAVES]
    assert load_config(overrides=overrides) == config


def test_a_written_file_holds_every_setting_under_its_help_text():
    lines = to_toml(RunConfig()).splitlines()
    written = tomllib.loads("\n".join(lines))
    for key, field in LEAVES.items():
        value_at(written, key)
        if "." in key:
            place = next(i for i, line in enumerate(lines) if line.startswith(key.split(".")[1] + " = "))
            assert lines[place - 1].startswith("# ")
            assert f"# {field.description}" in lines


# --- precedence --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "in_file", "given"),
    [
        ("train.steps", 7, 9),
        ("train.batch_tokens", 128, 256),
        ("optim.momentum", 0.5, 0.25),
        ("generate.temperature", 0.5, 2.0),
        ("model.max_seq_len", 16, 24),
    ],
)
def test_default_then_preset_then_file_then_command_line(tmp_path, key, in_file, given):
    def found(path=None, overrides=(), preset=None):
        return value_at(load_config(path, overrides, preset).model_dump(), key)

    preset = value_at(tomllib.loads((resources.files("dozero") / "presets/words.toml").read_text("utf-8")), key)
    default = value_at(RunConfig().model_dump(), key)
    assert len({default, preset, in_file, given}) == 4, "the test needs four different values"
    section, name = key.split(".")
    plain, extending = tmp_path / "plain.toml", tmp_path / "extending.toml"
    plain.write_text(f"[{section}]\n{name} = {in_file}\n")
    extending.write_text('extends = "words"\n' + plain.read_text())
    only_extends = tmp_path / "only.toml"
    only_extends.write_text('extends = "words"\n')
    assert found() == default
    assert found(preset="words") == found(only_extends) == preset
    assert found(plain) == found(plain, preset="words") == found(extending) == in_file
    for file in (None, only_extends, plain, extending):
        assert found(file, [f"{key}={given}"]) == given
    assert found(extending, [f"{key}={in_file}", f"{key}={given}"]) == given, "the last override counts"


def test_what_the_file_does_not_say_stays_the_presets(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text('extends = "words"\n[train]\nsteps = 3\n')
    assert load_config(file) == load_config(preset="words", overrides=["train.steps=3"])


def test_merging_leaves_both_trees_as_they_were():
    below, above = {"a": {"x": 1}, "b": 2}, {"a": {"y": 3}, "c": {"z": 4}}
    assert merge(below, above) == {"a": {"x": 1, "y": 3}, "b": 2, "c": {"z": 4}}
    assert (below, above) == ({"a": {"x": 1}, "b": 2}, {"a": {"y": 3}, "c": {"z": 4}})


# --- what is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [*LEAVES, *SECTIONS])
def test_a_misspelt_key_is_refused_with_the_nearest(tmp_path, key):
    right = key.rpartition(".")[2]
    wrong = key + right[-1]
    with pytest.raises(ConfigError) as by_override:
        load_config(overrides=[f"{wrong}=1"])
    assert is_one_line(by_override.value, f"unknown setting {wrong}, did you mean {right}?")
    file = tmp_path / "run.toml"
    section, _, name = wrong.rpartition(".")
    file.write_text((f"[{section}]\n" if section else "") + f"{name} = 1\n")
    with pytest.raises(ConfigError) as in_file:
        load_config(file)
    assert is_one_line(in_file.value, str(file), f"unknown setting {wrong}, did you mean {right}?")


def test_a_key_like_no_other_is_refused_with_those_there_are():
    with pytest.raises(ConfigError) as refused:
        load_config(overrides=["train.zzzzzzzz=1"])
    assert is_one_line(refused.value, *load_config().train.model_dump())
    assert "did you mean" not in str(refused.value)


def outside(field):
    """Values just past each limit of a field, and of another type."""
    kind, limits = field.annotation, bounds(field)
    if "ge" in limits:
        yield limits["ge"] - 1
    if "le" in limits:
        yield limits["le"] + 1
    yield from (limits[name] for name in ("gt", "lt") if name in limits)
    if "multiple_of" in limits:
        yield limits["ge"] + 1
    if kind is float:
        yield from (math.nan, math.inf, -math.inf)
    if get_origin(kind) is tuple:
        yield from ("x", 3)
    else:
        yield from {int: ["x", 1.5, [1], {}], float: ["x", [1.0], {}], bool: ["x", 7]}.get(kind, [3, True, ["x"]])


@pytest.mark.parametrize("key", LEAVES)
def test_a_value_out_of_range_is_refused_by_its_full_name(key):
    for value in outside(LEAVES[key]):
        with pytest.raises(ConfigError) as refused:
            build_config(tree_of(key, value), where="run.toml")
        assert is_one_line(refused.value, f"run.toml: {key}: "), value


@pytest.mark.parametrize("side", ["ge", "le"])
def test_the_limits_themselves_are_allowed(side):
    at_limit = {key: bounds(field)[side] for key, field in LEAVES.items() if side in bounds(field)}
    assert at_limit
    config = load_config(overrides=["optim.warmup=0", *(f"{key}={value}" for key, value in at_limit.items())])
    assert {key: value_at(config.model_dump(), key) for key in at_limit} == at_limit


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        (["data.min_letters=9", "data.max_letters=8"], ["data", "min_letters (9)", "max_letters (8)"]),
        (["model.n_heads=3", "model.n_kv_heads=2"], ["model", "n_heads (3)", "n_kv_heads (2)"]),
        (["model.attention_bias=true"], ["model", "attention_bias", "qk_norm = false"]),
        (["optim.warmup=0.5", "optim.decay=0.6"], ["optim", "warmup (0.5)", "decay (0.6)"]),
        (["train.batch_tokens=32", "model.max_seq_len=33"], ["train.batch_tokens (32)", "model.max_seq_len (33)"]),
    ],
)
def test_settings_that_contradict_one_another_are_refused_by_both_names(overrides, named):
    with pytest.raises(ConfigError) as refused:
        load_config(overrides=overrides)
    assert is_one_line(refused.value, *named)


@pytest.mark.parametrize("override", ["train=3", "train=[1]", "seed.x=1", "train.steps.x=1"])
def test_a_value_where_a_table_belongs_and_the_reverse(override):
    with pytest.raises(ConfigError) as refused:
        load_config(overrides=[override])
    assert is_one_line(refused.value, override.removesuffix("=1").removesuffix(".x").partition("=")[0])


@pytest.mark.parametrize("text", ["steps", "", "=3", " =3"])
def test_an_override_without_key_or_value_is_refused(text):
    with pytest.raises(ConfigError, match=r"expected section\.key=value"):
        parse_override(text)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"[train]\nsteps = = 3\n", ["not valid TOML", "line 2"]),
        (b"[train]\nsteps = 3\nsteps = 4\n", ["not valid TOML"]),
        ("# caf\xe9\n".encode("latin-1"), ["cannot be read", "a TOML file in UTF-8"]),
        (b'extends = "wrods"\n', ["unknown preset, did you mean words?", "got wrods"]),
        (b'extends = "zzzzzzzz"\n', ["unknown preset", "expected " + " or ".join(list_presets())]),
        (b"extends = 3\n", ["unknown preset", "got 3"]),
    ],
)
def test_a_file_that_is_no_settings_is_refused_by_name(tmp_path, content, told):
    file = tmp_path / "run.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as refused:
        load_config(file)
    assert is_one_line(refused.value, str(file), *told)


def test_a_file_that_is_not_there_and_a_folder(tmp_path):
    with pytest.raises(ConfigError) as missing:
        load_config(tmp_path / "run.toml")
    assert is_one_line(missing.value, str(tmp_path / "run.toml"), "no such file", "Try: dozero new")
    with pytest.raises(ConfigError) as folder:
        load_config(tmp_path)
    assert is_one_line(folder.value, str(tmp_path), "cannot be read")


# --- overrides are TOML ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("1_000", 1000),
        ("-2.5e-3", -0.0025),
        ("true", True),
        ('"a b"', "a b"),
        ("'3'", "3"),
        ("[1, 2]", [1, 2]),
        ("{ x = 1 }", {"x": 1}),
        ("plain text", "plain text"),
        (" words ", "words"),
        ("C:\\words.txt", "C:\\words.txt"),
        ("a=b", "a=b"),
        ("", ""),
    ],
)
def test_values_of_overrides_are_toml_and_otherwise_text(text, value):
    assert parse_override(f"a.b={text}") == {"a": {"b": value}}
    assert parse_override(f" a.b = {text}") == {"a": {"b": value}}


@given(text=st.text())
def test_any_text_is_a_toml_string(text):
    assert tomllib.loads(f"x = {toml_value(text)}") == {"x": text}


# --- the tree itself ---------------------------------------------------------------------------------------------


def test_settings_are_frozen():
    config = RunConfig()
    for key in LEAVES:
        *path, name = key.split(".")
        section = getattr(config, path[0]) if path else config
        with pytest.raises(pydantic.ValidationError, match="frozen"):
            setattr(section, name, getattr(section, name))


def test_every_setting_and_section_explains_itself():
    sections = {name: RunConfig.model_fields[name] for name in SECTIONS}
    unexplained = [key for key, f in {**LEAVES, **sections}.items() if not (f.description or "").strip().endswith(".")]
    assert not unexplained
    assert not [name for name in SECTIONS if not RunConfig.model_fields[name].annotation.__doc__]


def test_no_help_text_spans_two_lines():
    # It becomes a comment in run.toml: a second line would be a setting.
    assert not [key for key, field in LEAVES.items() if "\n" in field.description]


@pytest.mark.parametrize("name", list_presets())
def test_a_preset_loads_and_its_header_tells_what_was_measured(name):
    text = (resources.files("dozero") / "presets" / f"{name}.toml").read_text(encoding="utf-8")
    assert load_config(preset=name) == build_config(tomllib.loads(text))
    header = text.split("\n\n")[0]
    assert all(line.startswith("#") for line in header.splitlines())
    assert "Measured" in header
    measured = header[header.index("Measured") :].split()
    assert any(unit.strip(".,;") in ("s", "min", "h") for unit in measured), "a time"
    assert any(unit.strip(".,;") in ("MB", "GB") for unit in measured), "a memory"


def test_what_follows_from_other_settings():
    assert build_config({"train": {"batch_tokens": 100}, "model": {"max_seq_len": 16}}).rows_per_step == 6
    names = {(True, False): "Qwen3", (False, True): "Qwen2", (False, False): "Llama"}
    for (qk_norm, bias), name in names.items():
        assert ModelConfig(qk_norm=qk_norm, attention_bias=bias).architecture == f"{name}ForCausalLM"
