"""Which config.json is taken: transformers' own are, and whatever means other arithmetic is refused by name."""

import json

import pytest
import transformers

from dozero.errors import ModelMismatch
from dozero.interop.shapes import FAMILIES, read_shape

LLAMA = {
    "architectures": ["LlamaForCausalLM"], "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "intermediate_size": 64, "max_position_embeddings": 128, "vocab_size": 100,
    "rms_norm_eps": 1e-5, "tie_word_embeddings": True,
}  # fmt: skip


def write(folder, tree):
    (folder / "config.json").write_text(json.dumps(tree), encoding="utf-8")
    return folder / "config.json"


@pytest.mark.parametrize("family", FAMILIES)
def test_every_config_of_transformers_is_read_as_it_was_meant(family, tmp_path):
    kind = getattr(transformers, family.replace("ForCausalLM", "Config"))
    more = {"sliding_window": None} if "Mistral" in family else {}
    config = kind(
        architectures=[family], hidden_size=96, intermediate_size=200, num_hidden_layers=3, num_attention_heads=6,
        num_key_value_heads=2, max_position_embeddings=77, vocab_size=1234, rms_norm_eps=1e-4, tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 7e5}, head_dim=32, **more,
    )  # fmt: skip
    config.save_pretrained(tmp_path)
    shape, vocab_size = read_shape(tmp_path / "config.json")
    assert vocab_size == 1234
    assert shape.model_dump() == {
        "d_model": 96, "n_layers": 3, "n_heads": 6, "n_kv_heads": 2, "head_dim": 32, "d_ff": 200, "max_seq_len": 77,
        "tie_embeddings": True, "rope_theta": 7e5, "norm_eps": 1e-4, **FAMILIES[family],
    }  # fmt: skip


def test_a_config_of_transformers_4_is_read_too(tmp_path):
    shape, _ = read_shape(write(tmp_path, LLAMA | {"rope_theta": 5e5, "rope_scaling": None, "torch_dtype": "bfloat16"}))
    assert (shape.rope_theta, shape.head_dim, shape.norm_eps) == (5e5, 8, 1e-5)
    older = {k: v for k, v in LLAMA.items() if k not in ("num_key_value_heads", "tie_word_embeddings")}
    shape, _ = read_shape(write(tmp_path, older))
    assert (shape.n_kv_heads, shape.tie_embeddings, shape.rope_theta) == (4, False, 10_000.0)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"auto_map": {"AutoModelForCausalLM": "evil.Model"}}, r"asks to run code .* got auto_map = .*evil\.Model"),
        ({"architectures": ["GPT2LMHeadModel"]}, "another architecture; expected LlamaForCausalLM, .*GPT2"),
        ({"architectures": None}, "another architecture; .*got null"),
        ({"architectures": [["LlamaForCausalLM"]]}, "another architecture"),
        ({"attention_gate": 3}, r"a setting that dozero does not know; got attention_gate = 3"),
        ({"hidden_act": "gelu"}, 'needs what dozero does not compute; got hidden_act = "gelu"'),
        ({"mlp_bias": True}, "got mlp_bias = true"),
        ({"attention_bias": True}, "got attention_bias = true"),
        ({"quantization_config": {"bits": 4}}, "got quantization_config = "),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8}}, "rope_scaling = .*llama3.* scales the rotary angles"),
        ({"rope_parameters": {"rope_type": "default", "rope_theta": 1.0, "factor": 2}}, "scales the rotary angles"),
        ({"use_sliding_window": True}, "got use_sliding_window = true"),
        ({"layer_types": ["full_attention", "sliding_attention"]}, "needs a sliding window; got layer_types"),
        ({"sliding_window": 64}, "needs a sliding window; got sliding_window = 64"),
        ({"architectures": ["MistralForCausalLM"], "max_position_embeddings": 8192}, "got sliding_window = 4096"),
        ({"hidden_size": "32", "head_dim": 8}, "not a shape that dozero takes .*d_model"),
        ({"hidden_size": -1}, "not a shape that dozero takes .*d_model"),
        ({"num_attention_heads": 0}, "not a shape that dozero takes"),
        ({"num_attention_heads": 3}, "n_heads .3. must be a multiple"),
        ({"vocab_size": None}, "not a shape that dozero takes"),
        ({"rope_theta": float("nan")}, "not a shape that dozero takes .*rope_theta"),
        ({"architectures": ["Qwen3ForCausalLM"]}, "KeyError: 'head_dim'"),
    ],
)
def test_what_means_other_arithmetic_is_refused_by_name(change, told, tmp_path):
    with pytest.raises(ModelMismatch, match=told) as caught:
        read_shape(write(tmp_path, LLAMA | change))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_window_that_is_off_or_wider_than_the_context_is_none(tmp_path):
    for change in (
        {"sliding_window": 64, "use_sliding_window": False},
        {"sliding_window": 128},
        {"sliding_window": None},
    ):
        assert read_shape(write(tmp_path, LLAMA | change))[0].max_seq_len == 128


def test_a_file_that_is_no_config_is_told(tmp_path):
    with pytest.raises(ModelMismatch, match=r"no model here; expected a folder with config\.json"):
        read_shape(tmp_path / "config.json")
    for text, told in (("{", "cannot be read"), ("[]", "not a table; got list"), ("[" * 100_000, "cannot be read")):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(ModelMismatch, match=told):
            read_shape(tmp_path / "config.json")
    (tmp_path / "config.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(ModelMismatch, match="cannot be read"):
        read_shape(tmp_path / "config.json")
