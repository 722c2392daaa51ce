"""A folder with an ONNX model opens in onnxruntime, its weights in the file or, where they are many, beside it."""

import pytest
from transformers import AutoConfig, AutoTokenizer

from dozero.interop.engines import OnnxEngine
from dozero.interop.onnx_export import DATA, FILE, write_onnx
from dozero.interop.verify import compare, make_prompts


@pytest.mark.parametrize("most_bytes", [2**30, 1000])
def test_onnxruntime_computes_our_logits_and_writes_our_text(ours, tmp_path, most_bytes):
    model = ours()
    write_onnx(model.model, model.tokenizer, tmp_path, most_bytes)
    assert (tmp_path / DATA).exists() is (most_bytes == 1000)
    with OnnxEngine.open(tmp_path / FILE) as engine:
        parity = compare(engine, model, make_prompts(model, 8), "f32")
    assert parity.largest_logit_difference <= 1e-4
    assert (parity.same_text, parity.same_ids, parity.holds) == (8, 8, True)


def test_configuration_and_tokenizer_lie_beside_it(ours, tmp_path):
    model = ours(kind="char")
    write_onnx(model.model, model.tokenizer, tmp_path)
    assert AutoConfig.from_pretrained(tmp_path).num_hidden_layers == 2
    assert AutoTokenizer.from_pretrained(tmp_path)("coração").input_ids == model.tokenizer.encode("coração").tolist()
    assert not (tmp_path / "model.safetensors").exists()
