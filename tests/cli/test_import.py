"""`dozero import`: a model of others in, text out."""

import json

import pytest
import tokenizers
import torch
import transformers
from tokenizers import decoders, models, pre_tokenizers, trainers
from typer.testing import CliRunner

from dozero.cli.main import app


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """A folder of transformers with a small Llama and its tokenizer."""
    made = tokenizers.Tokenizer(models.BPE())
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        ["uma casa na rua"] * 9,
        trainers.BpeTrainer(vocab_size=268, special_tokens=["<|end|>"], initial_alphabet=alphabet, show_progress=False),
    )
    folder = tmp_path_factory.mktemp("theirs")
    transformers.PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<|end|>").save_pretrained(folder)
    config = transformers.LlamaConfig(
        vocab_size=made.get_vocab_size(), hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64,
        initializer_range=0.2,  # logits apart, so that the greatest does not hang on rounding
    )  # fmt: skip
    torch.manual_seed(0)
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def invoke(*arguments):
    return CliRunner().invoke(app, [*map(str, arguments)])


def test_what_is_imported_writes_and_is_inspected_and_exported(theirs, tmp_path, monkeypatch):
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")
    ran = invoke("import", theirs, "-o", tmp_path / "model")
    assert ran.exit_code == 0, ran.output
    lines = ran.stdout.splitlines()
    assert lines[0].startswith(f"made: {tmp_path / 'model'} · LlamaForCausalLM, ")
    assert lines[0].endswith("parameters, 268 tokens · licence: unknown")
    assert lines[1:] == ["the weights were in float32", "try it:", f"  dozero generate {tmp_path / 'model'} -n 3"]
    written = invoke("generate", tmp_path / "model", "uma casa", "--temperature", 0, "--max-tokens", 8)
    assert written.exit_code == 0, written.output
    ids = transformers.AutoTokenizer.from_pretrained(theirs)("uma casa", return_tensors="pt").input_ids
    model, tokenizer = (auto.from_pretrained(theirs) for auto in (transformers.AutoModelForCausalLM, transformers.AutoTokenizer))  # fmt: skip
    expected = model.generate(ids, max_new_tokens=8, do_sample=False, pad_token_id=0, eos_token_id=0)[0]
    assert written.stdout.rstrip("\n") == tokenizer.decode(expected, skip_special_tokens=True).rstrip("\n")
    assert "architecture: LlamaForCausalLM" in invoke("inspect", tmp_path / "model").stdout
    exported = invoke("export", tmp_path / "model", "--to", "gguf", "--type", "f32", "--verify", "--json")
    assert exported.exit_code == 0, exported.output
    assert json.loads(exported.stdout)["parity"]["holds"]


def test_new_tokens_are_told(theirs, tmp_path, monkeypatch):
    monkeypatch.setenv("LC_ALL", "pt_BR.UTF-8")
    ran = invoke(
        "import", theirs, "-o", tmp_path / "m", "--add-special", "<|tool|>", "--add-word", "pão", "--add-word", "avó"
    )
    assert ran.exit_code == 0, ran.output
    assert "tokens novos: 3; cada um começa como a média dos outros" in ran.stdout
    told = json.loads(invoke("import", theirs, "-o", tmp_path / "n", "--json").stdout)
    assert (told["vocab_size"], told["added"], told["architecture"]) == (268, 0, "LlamaForCausalLM")


def test_a_mistake_is_one_line_and_exit_code_2(run_dozero, theirs, tmp_path):
    (tmp_path / "pickled").mkdir()
    (tmp_path / "pickled" / "config.json").write_bytes((theirs / "config.json").read_bytes())
    (tmp_path / "pickled" / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch executed'\ntR.")
    ran = run_dozero("import", tmp_path / "pickled", cwd=tmp_path)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.count("\n") == 1
    assert "are a pickle" in ran.stderr
    assert {p.name for p in tmp_path.iterdir()} == {"pickled"}
