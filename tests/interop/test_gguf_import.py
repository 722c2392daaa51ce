"""A GGUF gives the model that was written, or says what of it is not known."""

import gguf
import numpy as np
import pytest
import torch

from dozero.errors import ModelMismatch
from dozero.interop.gguf_export import write_gguf
from dozero.interop.gguf_file import open_gguf
from dozero.interop.gguf_import import read_gguf_shape, read_gguf_source
from dozero.interop.gguf_layout import ARCHITECTURES

SHAPE_NAMES = ("Llama", "Llama, heads wider together than the model", "Qwen2", "Qwen3", "Qwen3, one head for all")


@pytest.mark.parametrize("shape", SHAPE_NAMES)
def test_what_was_written_in_fp32_comes_back_to_the_bit(shape, ours, others, tmp_path):
    model = ours(**others.shapes[shape])
    write_gguf(model.model, model.tokenizer, tmp_path / "m.gguf", "f32", {"name": "m", "licence": "mit"})
    source = read_gguf_source(tmp_path / "m.gguf")
    assert source.config == model.model.config
    assert source.tokenizer == model.tokenizer
    params = dict(model.model.named_parameters())
    assert set(source.tensors) == set(params)
    assert all(torch.equal(source.tensors[name], params[name]) for name in params)
    assert (source.about["source"], source.about["licence"], source.about["stored as"]) == ("m", "mit", "F32")


@pytest.mark.parametrize(("kind", "far"), [("f16", 1e-3), ("bf16", 1e-2), ("q8_0", 2e-2)])
def test_smaller_formats_come_back_near(kind, far, ours, tmp_path):
    model = ours()
    write_gguf(model.model, model.tokenizer, tmp_path / "m.gguf", kind)
    source = read_gguf_source(tmp_path / "m.gguf")
    for name, p in model.model.named_parameters():
        assert source.tensors[name].dtype == torch.float32
        assert (source.tensors[name] - p).abs().max() <= far * p.abs().max()


def a_gguf(folder, arch="llama", tensors=(), **changes):
    """A file with keys of a small Llama, changed; None leaves a key out."""
    keys = {
        "block_count": 1, "context_length": 64, "embedding_length": 32, "feed_forward_length": 64,
        "attention.head_count": 4, "attention.head_count_kv": 2, "attention.layer_norm_rms_epsilon": 1e-5,
        "rope.dimension_count": 8,
    }  # fmt: skip
    writer = gguf.GGUFWriter(folder / "a.gguf", arch)
    for key, value in (keys | changes).items():
        if isinstance(value, bool):
            writer.add_bool(f"{arch}.{key}", value)
        elif isinstance(value, int):
            writer.add_uint32(f"{arch}.{key}", value)
        elif isinstance(value, float):
            writer.add_float32(f"{arch}.{key}", value)
        elif isinstance(value, list):
            writer.add_array(f"{arch}.{key}", value)
        elif value is not None:
            writer.add_string(f"{arch}.{key}", value)
    for name in tensors:
        writer.add_tensor(name, np.zeros(32, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return open_gguf(folder / "a.gguf")


def test_what_a_file_leaves_unsaid_is_what_llama_cpp_takes(tmp_path):
    shape = read_gguf_shape(a_gguf(tmp_path, **{"attention.head_count_kv": None}))
    assert (shape.n_kv_heads, shape.head_dim, shape.rope_theta, shape.tie_embeddings) == (4, 8, 10_000.0, True)
    assert shape.norm_eps == 1e-5
    assert not read_gguf_shape(a_gguf(tmp_path, tensors=("output.weight",))).tie_embeddings


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"arch": "gpt2"}, r"another architecture; expected llama, qwen2, qwen3; got 'gpt2'"),
        ({"rope.scaling.type": "yarn"}, r"needs what dozero does not compute; got llama\.rope\.scaling\.type = 'yarn'"),
        ({"expert_count": 8}, r"got llama\.expert_count = 8"),
        ({"attention.sliding_window": 4096}, r"got llama\.attention\.sliding_window = 4096"),
        ({"attention.head_count": [4, 4]}, "not a shape that dozero takes"),
        ({"attention.head_count": 0}, "not a shape that dozero takes"),
        ({"block_count": None}, "not a shape that dozero takes .KeyError: 'block_count'"),
        ({"embedding_length": "wide"}, "not a shape that dozero takes"),
        ({"rope.dimension_count": 4}, "keys, values and turned coordinates of different widths"),
        ({"attention.key_length": 8, "attention.value_length": 16}, "different widths"),
    ],
)
def test_what_means_other_arithmetic_is_refused_by_name(changes, told, tmp_path):
    with pytest.raises(ModelMismatch, match=told) as caught:
        read_gguf_shape(a_gguf(tmp_path, **changes))
    assert "\n" not in str(caught.value)


def test_a_scaling_of_nothing_is_none(tmp_path):
    assert read_gguf_shape(a_gguf(tmp_path, **{"rope.scaling.type": "none", "expert_count": 0})).n_layers == 1


def test_frequencies_of_their_own_are_refused(ours, tmp_path):
    model = ours(qk_norm=False)
    write_gguf(model.model, model.tokenizer, tmp_path / "m.gguf", "f32")
    whole = gguf.GGUFReader(tmp_path / "m.gguf")
    writer = gguf.GGUFWriter(tmp_path / "odd.gguf", ARCHITECTURES["LlamaForCausalLM"])
    for name, field in whole.fields.items():
        if not name.startswith("GGUF.") and name != "general.architecture":
            kind = field.types[0]
            writer.add_key_value(
                name, field.contents(), kind, field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
            )
    for tensor in whole.tensors:
        writer.add_tensor(tensor.name, np.array(tensor.data))
    writer.add_tensor("rope_freqs.weight", np.ones(4, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(ModelMismatch, match=r"a tensor that dozero has no use for; got rope_freqs\.weight"):
        read_gguf_source(tmp_path / "odd.gguf")
