"""An export is an artifact in the model's own folder, in the form asked for, and leaves the model as it was."""

import json

import pytest
import torch
from safetensors.torch import load_file

from dozero.artifact import open_artifact
from dozero.errors import ArtifactError, ConfigError, ModelMismatch
from dozero.interop.export import TYPES, export_model, name_of, pick_type
from dozero.model.hf import read_model
from dozero.settings import GenerateConfig

FILES = {
    "hf": {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"},
    "gguf": {"model-f32.gguf"},
    "onnx": {"config.json", "generation_config.json", "model.onnx", "tokenizer.json", "tokenizer_config.json"},
    "ollama": {"model-f32.gguf", "Modelfile"},
}


@pytest.mark.parametrize("to", FILES)
def test_an_export_says_what_it_was_made_from_and_can_be_made_again(to, write_ours):
    folder = write_ours()
    before = {f.name: f.read_bytes() for f in folder.iterdir()}
    for _ in range(2):
        made = export_model(folder, to, "f32", GenerateConfig())
        manifest = open_artifact(made.folder, "export")
        assert set(manifest.files) == FILES[to]
        assert manifest.config == {"to": to, "type": "f32"}
        assert set(manifest.inputs) == {"model.safetensors"}
        assert made.folder == folder / "export" / f"{to}-f32"
        assert made.file.exists()
        assert made.bytes == sum(f.stat().st_size for f in made.folder.iterdir() if f.name in FILES[to])
    assert {f.name: f.read_bytes() for f in folder.iterdir() if f.is_file()} == before


def test_hugging_faces_form_in_another_number_format_with_the_card(write_ours):
    folder = write_ours()
    (folder / "README.md").write_text("a card")
    made = export_model(folder, "hf", "bf16", GenerateConfig())
    first, second = (load_file(place / "model.safetensors") for place in (folder, made.folder))
    assert all(torch.equal(second[name], first[name].bfloat16()) for name in first)
    assert json.loads((made.folder / "config.json").read_text())["dtype"] == "bfloat16"
    assert (made.folder / "README.md").read_text() == "a card"
    assert read_model(made.folder)[1] == read_model(folder)[1]


def test_a_modelfile_samples_as_the_run_does(write_ours):
    made = export_model(write_ours(), "ollama", "f32", GenerateConfig(temperature=0.25, max_tokens=9))
    text = made.file.read_text()
    assert made.file.name == "Modelfile"
    assert "FROM ./model-f32.gguf\n" in text
    assert "PARAMETER temperature 0.25\nPARAMETER top_k 0\n" in text
    assert "PARAMETER num_ctx 64\nPARAMETER num_predict 9\n" in text


def test_what_dozero_did_not_write_is_never_replaced(write_ours, tmp_path):
    folder = write_ours()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    for out in (tmp_path / "mine", folder):
        with pytest.raises(ArtifactError, match="holds something dozero did not write"):
            export_model(folder, "gguf", "f16", GenerateConfig(), out)
    assert (tmp_path / "mine" / "thesis.txt").exists()


def test_a_model_that_is_broken_leaves_nothing(write_ours):
    folder = write_ours()
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:999])
    for to in TYPES:
        with pytest.raises(ModelMismatch, match="weights cannot be read"):
            export_model(folder, to, TYPES[to][0], GenerateConfig())
    assert not (folder / "export").exists()


def test_forms_and_number_formats_are_told_where_there_is_no_such():
    assert [pick_type(to, None) for to in TYPES] == ["f32", "f16", "f32", "f16"]
    assert pick_type("gguf", "q8_0") == "q8_0"
    with pytest.raises(ConfigError, match=r"--to: no such form; expected one of hf, gguf, onnx, ollama; got 'pickle'"):
        pick_type("pickle", None)
    with pytest.raises(ConfigError, match=r"--type: not a number format of onnx; expected one of f32; got 'q8_0'"):
        pick_type("onnx", "q8_0")


def test_a_model_is_called_by_its_workspace_and_run(tmp_path):
    for place, name in (
        ("pt/runs/main/model", "pt"), ("pt/runs/main", "pt"), ("pt/runs/deeper/model", "pt-deeper"), ("smol", "smol"),
    ):  # fmt: skip
        assert name_of(tmp_path / place) == name
