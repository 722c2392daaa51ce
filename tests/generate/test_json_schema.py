"""Whatever the model, what it writes under a JSON schema parses and is valid; jsonschema is the judge."""

import json
import random

import jsonschema
import pytest
import torch

from dozero.errors import ConfigError, DataError
from dozero.generate.json_schema import JsonSchema, read_schema
from dozero.generate.language_model import LanguageModel
from dozero.model.transformer import Transformer
from dozero.settings import GenerateConfig, ModelConfig
from dozero.tokenizer.tokenizer import bpe_tokenizer, train_bpe_tokenizer, train_char_tokenizer

SCHEMAS = 500
PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))
TEXTS = ['{"nome": "Ana", "idade": 30, "cidades": ["São Paulo", "Natal"], "ativo": true, "nota": 9.5}'] * 3


def untrained(tokenizer, context=48):
    """A model that has learned nothing."""
    config = ModelConfig(d_model=16, n_layers=1, n_heads=2, n_kv_heads=1, head_dim=8, d_ff=16, max_seq_len=context)
    model, noise = Transformer(config, tokenizer.vocab_size), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, generator=noise) * 0.3)
    return LanguageModel(model, tokenizer)


MODELS = {
    "char": untrained(train_char_tokenizer([PRINTABLE, "áãç日"])),
    "bpe": untrained(train_bpe_tokenizer(TEXTS, 320)),
    "bytes": untrained(bpe_tokenizer([])),
}


def random_schema(draws, depth=3):
    """A schema of any kind that people write, nested up to `depth`."""
    simple = [
        lambda: {"type": "boolean"},
        lambda: {"type": "null"},
        lambda: {"type": "integer", **limits(draws, draws.randint(-50, 50))},
        lambda: {"type": "number", **limits(draws, draws.randint(-50, 50))},
        lambda: {"type": "string", **lengths(draws, "Length")},
        lambda: {
            "type": "string",
            "pattern": draws.choice(["^[a-z]{2,5}$", "^\\d{3}-\\d{2}$", "^[A-Z][a-z]+@[a-z]+\\.br$"]),
        },
        lambda: {
            "enum": draws.sample(["a", "coração", 1, 2.5, None, True, "x y", [1], {"k": "v"}], draws.randint(1, 4))
        },
        lambda: {"const": draws.choice(["fixo", 7, None, False])},
        lambda: {"type": draws.sample(["string", "integer", "null", "boolean"], draws.randint(1, 3))},
    ]
    nested = [
        lambda: {"type": "array", "items": random_schema(draws, depth - 1), **lengths(draws, "Items")},
        lambda: an_object(draws, depth),
        lambda: an_object(draws, depth),
        lambda: {"anyOf": [random_schema(draws, depth - 1) for _ in range(draws.randint(1, 3))]},
        lambda: {"$defs": {"d": random_schema(draws, 0)}, "type": "array", "items": {"$ref": "#/$defs/d"}} if depth == 3
        else {"type": "object"},
        lambda: tree(draws) if depth == 3 else {"type": "array"},
    ]  # fmt: skip
    return draws.choice(nested if depth > 0 and draws.random() < 0.6 else simple)()


def limits(draws, low):
    high = low + draws.randint(0, 100)
    return draws.choice([{}, {"minimum": low}, {"maximum": high}, {"minimum": low, "maximum": high}])


def lengths(draws, what):
    low = draws.randint(0, 4)
    high = low + draws.randint(0, 4)
    return draws.choice([{}, {f"min{what}": low}, {f"max{what}": high}, {f"min{what}": low, f"max{what}": high}])


def an_object(draws, depth):
    names = draws.sample(["nome", "idade", "ção", "a b", "x", "y", 'as"pas'], draws.randint(0, 4))
    more = draws.choice([{}, {"additionalProperties": False}, {"additionalProperties": random_schema(draws, 0)}])
    required = draws.sample(names, draws.randint(0, len(names)))
    properties = {name: random_schema(draws, depth - 1) for name in names}
    return {"type": "object", "properties": properties, "required": required, **more}


def tree(draws):
    """A schema that holds itself."""
    node = {
        "type": "object",
        "properties": {"v": random_schema(draws, 0), "left": {"$ref": "#/$defs/n"}, "right": {"$ref": "#/$defs/n"}},
    }
    node |= {"required": ["v", "left", "right"], "additionalProperties": False}
    return {"$defs": {"n": {"anyOf": [{"type": "null"}, node]}}, "$ref": "#/$defs/n"}


def written(model, schema, config, seed, prompt=""):
    constraint = JsonSchema(schema, model.tokenizer).constraint()
    (done,) = model.complete([model.request(prompt, config, seed, constraint)], [prompt])
    return done


@pytest.mark.no_cover
@pytest.mark.parametrize("part", range(5))
def test_500_random_schemas_are_kept_by_models_that_have_learned_nothing(part):
    draws = random.Random(part)
    configs = (GenerateConfig(max_tokens=40), GenerateConfig(temperature=0), GenerateConfig(top_p=0.7, max_tokens=15))
    for n in range(SCHEMAS // 5):
        schema = random_schema(draws)
        model = MODELS[draws.choice(list(MODELS))]
        done = written(model, schema, draws.choice(configs), n)
        try:
            jsonschema.Draft202012Validator(schema).validate(json.loads(done.text))
        except (ValueError, jsonschema.ValidationError) as error:
            pytest.fail(f"{error}\n{json.dumps(schema)}\n{done.text!r}")


def test_what_is_whole_ends_by_itself_and_what_has_no_room_is_closed():
    short = written(MODELS["char"], {"type": "boolean"}, GenerateConfig(), 0)
    assert (short.text in ("true", "false"), short.finish) == (True, "stop")
    schema = {"type": "array", "items": {"type": "string"}, "minItems": 2}
    long = written(MODELS["char"], schema, GenerateConfig(max_tokens=4), 0)
    assert len(json.loads(long.text)) == 2
    assert long.finish == "length"


def test_beside_others_and_with_guesses_it_is_the_same_as_alone():
    model, schema = MODELS["bpe"], {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    form = JsonSchema(schema, model.tokenizer)
    configs = [GenerateConfig(max_tokens=30, speculate=n) for n in (0, 3)]
    for config in configs:
        requests = [model.request("Ana" * (i % 2), config, i, form.constraint()) for i in range(5)]
        together = [done.text for done in model.complete(requests, [""] * 5)]
        assert together == [written(model, schema, configs[0], i, "Ana" * (i % 2)).text for i in range(5)]


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"type": "nothing"}, "schema cannot be followed"),
        ({"type": "string", "pattern": "("}, "schema cannot be followed"),
        ({"$ref": "#/$defs/missing"}, "schema cannot be followed"),
        ({"type": "array", "uniqueItems": True}, "schema cannot be followed"),
    ],
)
def test_a_schema_that_cannot_be_followed_is_refused_in_one_line(schema, told):
    with pytest.raises((ConfigError, DataError), match=told) as raised:
        JsonSchema(schema, MODELS["bytes"].tokenizer)
    assert "\n" not in str(raised.value)


def test_a_model_without_the_characters_of_json_is_refused_before_it_writes():
    words = untrained(train_char_tokenizer(["abc"]))
    with pytest.raises(DataError, match="cannot write what the schema asks for"):
        JsonSchema({"type": "object"}, words.tokenizer)


def test_a_schema_without_an_end_is_refused():
    endless = {"$defs": {"n": {"type": "object", "properties": {"n": {"$ref": "#/$defs/n"}}, "required": ["n"]}}}
    with pytest.raises((ConfigError, DataError), match="json schema"):
        JsonSchema({**endless, "$ref": "#/$defs/n"}, MODELS["bytes"].tokenizer)


@pytest.mark.parametrize(
    ("content", "told"), [("{", "not JSON"), ("[1]", "not a JSON schema"), (None, "cannot be read")]
)
def test_a_file_that_is_no_schema_is_refused(content, told, tmp_path):
    file = tmp_path / "schema.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match=told):
        read_schema(file)
