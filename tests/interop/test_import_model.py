"""What is imported computes what it computed, and a source with a fault leaves nothing behind."""

import json
import shutil
import struct

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from dozero.artifact import open_artifact
from dozero.errors import ArtifactError, DataError, DozeroError, ModelMismatch
from dozero.generate.language_model import LanguageModel
from dozero.interop.gguf_export import write_gguf
from dozero.interop.import_model import import_model
from dozero.settings import GenerateConfig


@pytest.fixture
def copy(folder_of_others, tmp_path):
    return shutil.copytree(folder_of_others.path, tmp_path / "copy")


def logits_of(model, ids):
    with torch.no_grad():
        out = model(ids)
    return out if isinstance(out, torch.Tensor) else out.logits


def test_an_imported_folder_gives_transformers_logits_ids_and_greedy_text(folder_of_others, tmp_path, others):
    made = import_model(folder_of_others.path, tmp_path / "model")
    ours = LanguageModel.open(made.out)
    theirs = folder_of_others.model
    ids = torch.randint(theirs.config.vocab_size, (3, 60), generator=torch.Generator().manual_seed(1))
    assert (logits_of(ours.model, ids) - logits_of(theirs, ids)).abs().max() <= 1e-4
    for text in others.texts:
        expected = folder_of_others.tokenizer(text, split_special_tokens=True).input_ids
        assert ours.tokenizer.begin(ours.tokenizer.encode(text).tolist()) == expected
        given = torch.tensor([expected])
        found = theirs.generate(given, attention_mask=torch.ones_like(given), max_new_tokens=12, do_sample=False,
                                eos_token_id=folder_of_others.tokenizer.eos_token_id, pad_token_id=0)  # fmt: skip
        told = folder_of_others.tokenizer.decode(found[0, given.shape[1] :], skip_special_tokens=True)
        written = "".join(ours.stream(text, GenerateConfig(temperature=0, max_tokens=12)))
        if folder_of_others.kind == "Mistral":  # its tokenizer takes the first space off, wherever a text begins
            # and where bytes make no character it shows each of their run as broken, ours only those that are
            broken = "\N{REPLACEMENT CHARACTER}"
            written, told = written.removeprefix(" ").split(broken)[0], told.split(broken)[0]
        assert written == told


def test_what_is_written_is_an_artifact_that_transformers_opens_too(folder_of_others, tmp_path):
    made = import_model(folder_of_others.path, tmp_path / "model")
    manifest = open_artifact(made.out, "model")
    assert set(manifest.inputs) >= {"config.json", "model.safetensors", "tokenizer.json"}
    assert (manifest.counts["vocab_size"], manifest.counts["added_tokens"]) == (made.vocab_size, 0)
    again, report = AutoModelForCausalLM.from_pretrained(made.out, output_loading_info=True)
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")), report
    ids = torch.arange(40)[None]
    assert torch.equal(logits_of(again, ids), logits_of(folder_of_others.model, ids))
    assert sum(p.numel() for p in again.parameters()) == made.parameters
    tokenizer = AutoTokenizer.from_pretrained(made.out)
    assert tokenizer("Era uma vez").input_ids == folder_of_others.tokenizer("Era uma vez").input_ids
    assert again.generation_config.eos_token_id == tokenizer.eos_token_id
    assert "licence unknown" in (made.out / "README.md").read_text()


def test_weights_keep_their_number_format(copy, tmp_path):
    tensors = {n: t.bfloat16() for n, t in load_file(copy / "model.safetensors").items()}
    save_file(tensors, copy / "model.safetensors", {"format": "pt"})
    made = import_model(copy, tmp_path / "model")
    written = load_file(made.out / "model.safetensors")
    assert made.stored == "bfloat16"
    assert all(torch.equal(written[name], tensors[name]) for name in written)
    assert json.loads((made.out / "config.json").read_text())["dtype"] == "bfloat16"


def test_a_gguf_file_or_a_folder_with_one_is_a_source_too(ours, tmp_path):
    mine = ours(qk_norm=False)
    (tmp_path / "ggufs").mkdir()
    write_gguf(mine.model, mine.tokenizer, tmp_path / "ggufs" / "a.gguf", "f32", {"licence": "mit"})
    for source in (tmp_path / "ggufs", tmp_path / "ggufs" / "a.gguf"):
        made = import_model(source, tmp_path / "model")
        again = LanguageModel.open(made.out)
        assert again.tokenizer == mine.tokenizer
        assert all(torch.equal(a, b) for a, b in zip(again.model.parameters(), mine.model.parameters(), strict=True))
        assert (made.licence, made.stored) == ("mit", "F32")
    shutil.copy(tmp_path / "ggufs" / "a.gguf", tmp_path / "ggufs" / "b.gguf")
    with pytest.raises(ModelMismatch, match="holds several GGUF files; expected the name of one"):
        import_model(tmp_path / "ggufs", tmp_path / "model")


def change_config(**changes):
    def spoil(folder):
        file = folder / "config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))

    return spoil


def change_weights(change):
    def spoil(folder):
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})

    return spoil


def cut(name, kept):
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:kept])


def pickled(folder):
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch executed'\ntR.")


def with_code(folder):
    change_config(auto_map={"AutoModelForCausalLM": "modeling_evil.Evil"})(folder)
    (folder / "modeling_evil.py").write_text("open('executed', 'w')")


def declare(size):
    """A safetensors header that promises more than any memory."""
    header = json.dumps({"w": {"dtype": "F32", "shape": [size], "data_offsets": [0, size * 4]}}).encode()
    return lambda folder: (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)


FAULTS = {
    "pickle": (pickled, "are a pickle"),
    "auto_map": (with_code, "asks to run code"),
    "another width": (change_config(hidden_size=64), "has another shape; expected"),
    "more layers": (change_config(num_hidden_layers=3, layer_types=None), "weights of another model"),
    "layers without end": (change_config(num_hidden_layers=10**9, layer_types=None), "expected 1000000000 layers"),
    "a matrix that is too short": (
        change_weights(lambda t: t.update({"model.norm.weight": torch.ones(31)})),
        r"model\.norm\.weight has another shape",
    ),
    "a matrix that is missing": (change_weights(lambda t: t.pop("model.norm.weight")), "weights of another model"),
    "a matrix too many": (change_weights(lambda t: t.update({"x": torch.ones(1)})), "weights of another model.*got x"),
    "safetensors cut short": (cut("model.safetensors", 5000), "weights cannot be read"),
    "safetensors that promise much": (declare(2**60), "weights cannot be read"),
    "tokenizer cut short": (cut("tokenizer.json", 500), "tokenizer cannot be read"),
    "config cut short": (cut("config.json", 50), "cannot be read"),
    "a tokenizer of another size": (change_config(vocab_size=300), "tokenizer and model disagree"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_line_and_nothing_is_run_written_or_overwritten(copy, tmp_path, fault, monkeypatch):
    spoil, told = FAULTS[fault]
    before = import_model(copy, tmp_path / "model").out
    kept = {f.name: f.read_bytes() for f in before.iterdir()}
    monkeypatch.chdir(tmp_path)
    spoil(copy)
    for out in (tmp_path / "model", tmp_path / "fresh"):
        with pytest.raises(DozeroError, match=told) as caught:
            import_model(copy, out)
        assert "\n" not in str(caught.value)
    assert {f.name: f.read_bytes() for f in before.iterdir()} == kept
    assert {p.name for p in tmp_path.iterdir()} == {"copy", "model"}
    assert not list(tmp_path.rglob("executed"))


def test_a_folder_that_is_not_ours_is_never_replaced(copy, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(ArtifactError, match="holds something dozero did not write"):
        import_model(copy, tmp_path / "mine")
    with pytest.raises(ArtifactError, match="holds something dozero did not write"):
        import_model(copy, copy)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def test_a_source_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ModelMismatch, match="no such file or folder"):
        import_model(tmp_path / "nowhere", tmp_path / "model")
    with pytest.raises(ModelMismatch, match="no model here"):
        import_model(tmp_path, tmp_path / "model")


def test_tokens_are_added_on_the_way(folder_of_others, tmp_path):
    made = import_model(folder_of_others.path, tmp_path / "model", specials=["<|tool|>"], words=["pão de queijo"])
    plain = import_model(folder_of_others.path, tmp_path / "plain")
    ours = LanguageModel.open(made.out)
    assert (made.vocab_size, made.added) == (plain.vocab_size + 2, 2)
    assert ours.tokenizer.encode("pão de queijo").tolist() == [made.vocab_size - 1]
    assert ours.tokenizer.special_id("<|tool|>") == made.vocab_size - 2
    with pytest.raises(DataError, match="not a new token"):
        import_model(made.out, tmp_path / "twice", specials=["<|tool|>"])
