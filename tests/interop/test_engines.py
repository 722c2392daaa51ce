"""Each engine answers what the program behind it answers, and says so when it cannot."""

import pytest
import torch

from dozero.errors import ModelMismatch
from dozero.interop.engines import Engine, LlamaCppEngine, OnnxEngine, Ours, TransformersEngine
from dozero.interop.export import export_model
from dozero.interop.hf_import import read_folder_source
from dozero.interop.import_model import build_model, import_model
from dozero.settings import GenerateConfig

CHAT = [{"role": "user", "content": "Oi!\n\n<b>"}]
FORMS = {"hf": TransformersEngine, "onnx": OnnxEngine, "gguf": LlamaCppEngine}


@pytest.fixture(scope="module")
def model(folder_of_others, tmp_path_factory):
    """What was imported, with the folder it lies in."""
    out = import_model(folder_of_others.path, tmp_path_factory.mktemp("engines") / "model").out
    source = read_folder_source(folder_of_others.path)
    return Ours(build_model(source), source.tokenizer), out


def opened(to, model, out, folder):
    exported = export_model(out, to, "f32", GenerateConfig(), folder / to)
    if to == "hf":
        return TransformersEngine.open(exported.folder)
    if to == "onnx":
        return OnnxEngine.open(exported.file)
    return LlamaCppEngine.open(exported.file, model.tokenizer, 128)


@pytest.mark.parametrize("to", FORMS)
def test_every_engine_gives_our_logits_ids_text_and_chat(to, model, others, tmp_path):
    ours, out = model
    with opened(to, ours, out, tmp_path) as engine:
        assert isinstance(engine, Engine)
        for text in [*(story[:80] for story in others.stories[::30]), others.texts[0]]:
            ids = ours.encode(text)
            assert engine.encode(text) == ids
            mine, theirs = ours.logits(ids), engine.logits(ids)
            if engine.gives_logarithms:
                mine = mine.log_softmax(-1)
            assert theirs.shape == mine.shape
            assert (mine - theirs).abs().max() <= (1e-2 if to == "gguf" else 1e-4)
            found, expected = engine.continue_greedily(ids, 10), ours.continue_greedily(ids, 10)
            assert found[: len(expected)] == expected[: len(found)]
            assert len(expected) - 1 <= len(found) <= 10  # llama.cpp leaves out the end
        begin = "<|begin_of_text|>" if to == "gguf" else ""  # which llama.cpp puts there itself
        assert engine.chat(CHAT) == ours.chat(CHAT).removeprefix(begin)


def test_ours_stops_after_the_end(ours):
    mine = ours()
    with torch.no_grad():
        mine.model.lm_head.weight.zero_()  # every logit 0: the first token, which is the end, is taken
    assert Ours(mine.model, mine.tokenizer).continue_greedily([5, 6], 8) == [mine.tokenizer.end_id]


def test_a_file_that_llama_cpp_cannot_open_is_told(ours, tmp_path):
    (tmp_path / "m.gguf").write_bytes(b"GGUF" + bytes(100))
    with (
        pytest.raises(ModelMismatch, match=r"llama\.cpp cannot open it"),
        LlamaCppEngine.open(tmp_path / "m.gguf", ours().tokenizer, 64),
    ):
        pass


def test_what_llama_cpp_refuses_is_told_in_its_words(model, tmp_path):
    ours, out = model
    with opened("gguf", ours, out, tmp_path) as engine, pytest.raises(ModelMismatch, match=r"llama\.cpp refuses"):
        engine.continue_greedily([1] * 500, 1)
