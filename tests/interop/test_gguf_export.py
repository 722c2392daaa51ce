"""A GGUF of ours is what llama.cpp computes from, in every family and number format."""

import gguf
import numpy as np
import pytest
import torch

from dozero.errors import MissingExtra
from dozero.generate.language_model import LanguageModel
from dozero.interop.engines import LlamaCppEngine, Ours
from dozero.interop.gguf_export import TYPES, write_gguf
from dozero.interop.verify import compare, make_prompts


@pytest.fixture
def make(ours, others):
    return lambda shape, **more: ours(**others.shapes[shape], **more)


SHAPE_NAMES = ("Llama", "Llama, heads wider together than the model", "Qwen2", "Qwen3", "Qwen3, one head for all")


@pytest.mark.parametrize("shape", SHAPE_NAMES)
@pytest.mark.parametrize("kind", ["char", "bpe"])
def test_llama_cpp_computes_our_logits_and_writes_our_text(shape, kind, make, tmp_path):
    model = make(shape, kind=kind)
    write_gguf(model.model, model.tokenizer, tmp_path / "m.gguf", "f32")
    with LlamaCppEngine.open(tmp_path / "m.gguf", model.tokenizer, 64) as engine:
        parity = compare(engine, model, make_prompts(model, 6), "f32")
        logits = Ours(model.model, model.tokenizer).logits([0])
    assert logits.max() - logits.min() > 2  # else the next lines would say little
    assert parity.largest_logit_difference <= 1e-3
    assert (parity.same_text, parity.same_ids) == (6, 6)
    assert parity.holds


@pytest.mark.parametrize(("kind", "far"), [("f16", 2e-2), ("bf16", 0.2), ("q8_0", 0.2)])
def test_smaller_formats_are_near(kind, far, make, tmp_path):
    model = make("Llama")
    write_gguf(model.model, model.tokenizer, tmp_path / "m.gguf", kind)
    with LlamaCppEngine.open(tmp_path / "m.gguf", model.tokenizer, 64) as engine:
        parity = compare(engine, model, make_prompts(model, 3), kind)
    assert 0 < parity.largest_logit_difference <= far
    assert parity.holds


def test_matrices_have_the_format_asked_for_and_vectors_fp32(make, tmp_path):
    model = make("Qwen3")
    for kind, name in TYPES.items():
        written = write_gguf(model.model, model.tokenizer, tmp_path / f"{kind}.gguf", kind)
        tensors = gguf.GGUFReader(tmp_path / f"{kind}.gguf").tensors
        found = {t.name: t.tensor_type.name for t in tensors}
        assert {found[n] for n in found if len(next(t for t in tensors if t.name == n).shape) > 1} == {name}
        assert {found[n] for n in found if len(next(t for t in tensors if t.name == n).shape) == 1} == {"F32"}
        assert sum(written.types.values()) == len(tensors)


def test_rows_that_fill_no_blocks_are_f16_in_a_q8_0_file(ours, tmp_path):
    model = ours(d_model=24, head_dim=6)
    written = write_gguf(model.model, model.tokenizer, tmp_path / "m.gguf", "q8_0")
    assert written.types["F16"] > 0
    assert written.types["Q8_0"] > 0  # down_proj: rows of 64
    with LlamaCppEngine.open(tmp_path / "m.gguf", model.tokenizer, 64) as engine:
        assert compare(engine, model, ["Era"], "q8_0").largest_logit_difference < 0.2


def test_q8_0_is_the_packages_own(make, tmp_path):
    model = make("Qwen3")
    write_gguf(model.model, model.tokenizer, tmp_path / "m.gguf", "q8_0")
    tensor = next(t for t in gguf.GGUFReader(tmp_path / "m.gguf").tensors if t.name == "blk.1.ffn_down.weight")
    values = model.model.model.layers[1].mlp.down_proj.weight.detach().numpy()
    assert np.array_equal(tensor.data, gguf.quants.quantize(values, gguf.GGMLQuantizationType.Q8_0))


def test_the_facts_of_a_model_stand_where_programs_look(make, tmp_path):
    model, about = make("Llama"), {"name": "meu", "licence": "CC-BY-4.0", "language": "pt", "source": "docs"}
    write_gguf(model.model, model.tokenizer, tmp_path / "m.gguf", "f16", about)
    fields = {name: field.contents() for name, field in gguf.GGUFReader(tmp_path / "m.gguf").fields.items()}
    assert fields["general.architecture"] == "llama"
    assert (fields["general.name"], fields["general.license"]) == ("meu", "CC-BY-4.0")
    assert fields["general.languages"] == ["pt"]
    assert fields["general.file_type"] == gguf.LlamaFileType.MOSTLY_F16
    assert fields["llama.context_length"] == model.model.config.max_seq_len


def test_weights_in_bfloat16_are_written_too(make, tmp_path):
    model = make("Llama")
    low = LanguageModel(model.model.to(torch.bfloat16), model.tokenizer)
    write_gguf(low.model, low.tokenizer, tmp_path / "m.gguf", "bf16")
    found = {t.name: t for t in gguf.GGUFReader(tmp_path / "m.gguf").tensors}
    row = gguf.quants.dequantize(found["token_embd.weight"].data, gguf.GGMLQuantizationType.BF16)
    assert np.array_equal(row, low.model.model.embed_tokens.weight.detach().float().numpy())


def test_without_the_package_the_line_that_installs_it_is_told(make, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "gguf", None)
    with pytest.raises(MissingExtra, match=r'this needs the package gguf.* pip install "dozero\[gguf\]"'):
        write_gguf(make("Llama").model, make("Llama").tokenizer, tmp_path / "m.gguf", "f32")
    assert not list(tmp_path.iterdir())
