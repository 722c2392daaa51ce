"""A model folder opens in transformers without custom code and gives the same logits; and the other way round."""

import json

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from dozero.errors import ModelMismatch
from dozero.model.hf import hf_config, load_weights, read_hf_config, read_model, save_weights, write_model_files
from dozero.model.transformer import Transformer
from dozero.settings import ModelConfig
from dozero.tokenizer.files import write_tokenizer_files
from dozero.tokenizer.tokenizer import END_ID, END_OF_TEXT, train_char_tokenizer

TOKENIZER = train_char_tokenizer(["coração", "mãe", "日本", "ёж"])
V = TOKENIZER.vocab_size
SHAPES = {
    "Qwen3": {},
    "Qwen3, heads shared by all": {"n_kv_heads": 1},
    "Qwen3, no heads shared": {"n_kv_heads": 4},
    "Qwen3, heads wider together than the model": {"head_dim": 16},
    "Qwen3, heads narrower, tied, other base": {"head_dim": 2, "tie_embeddings": True, "rope_theta": 5e5},
    "Qwen3, small base, large epsilon": {"rope_theta": 20.0, "norm_eps": 0.01},
    "Llama": {"qk_norm": False},
    "Llama, tied, other base, other head_dim": {
        "qk_norm": False, "tie_embeddings": True, "rope_theta": 5e5, "head_dim": 6,
    },
    "Llama, heads shared by all": {"qk_norm": False, "n_kv_heads": 1, "norm_eps": 1e-5},
    "Qwen2": {"qk_norm": False, "attention_bias": True},
    "Qwen2, tied, other base, other head_dim": {
        "qk_norm": False, "attention_bias": True, "tie_embeddings": True, "rope_theta": 1e6, "head_dim": 12,
    },
}  # fmt: skip


def shape(**changes):
    base = {"d_model": 32, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "head_dim": 8, "d_ff": 48, "max_seq_len": 40}
    return ModelConfig(**(base | changes))


def random_model(config, seed=0):
    """A model with no parameter at a special value: norms are not 1, biases and output projections not 0."""
    model = Transformer(config, V)
    randomize(model, seed)
    return model


def randomize(model, seed=0):
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            noise = torch.randn(p.shape, generator=random)
            p.copy_(noise * p.shape[1] ** -0.5 if p.ndim == 2 else 1 + 0.5 * noise)


def random_ids():
    return torch.randint(V, (3, 40), generator=torch.Generator().manual_seed(1))


def both_logits(ours, theirs):
    with torch.no_grad():
        return ours(random_ids()), theirs(random_ids()).logits


# --- out --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", SHAPES.values(), ids=SHAPES)
def test_transformers_computes_the_same_logits_from_our_folder(changes, tmp_path):
    model = random_model(shape(**changes))
    write_model_files(model, TOKENIZER, tmp_path)
    opened, report = AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert type(opened).__name__ == model.config.architecture
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")), report
    ours, theirs = both_logits(model, opened)
    assert ours.abs().max() > 1  # else the next line would say little
    assert (ours - theirs).abs().max() <= 1e-4


def test_transformers_opens_the_tokenizer_and_the_generation_settings(tmp_path):
    model = random_model(shape())
    write_model_files(model, TOKENIZER, tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert len(tokenizer) == V
    assert tokenizer("coração日本").input_ids == TOKENIZER.encode("coração日本").tolist()
    assert (tokenizer.bos_token, tokenizer.eos_token, tokenizer.eos_token_id) == (END_OF_TEXT, END_OF_TEXT, END_ID)
    generation = GenerationConfig.from_pretrained(tmp_path)
    assert (generation.eos_token_id, generation.max_length) == (END_ID, 40)


def test_a_tied_head_is_stored_once(tmp_path):
    for tied in (True, False):
        save_weights(random_model(shape(tie_embeddings=tied)), tmp_path / "w.safetensors")
        assert ("lm_head.weight" in load_file(tmp_path / "w.safetensors")) is not tied


def test_the_rope_base_stands_where_transformers_4_and_5_look_for_it():
    tree = hf_config(shape(rope_theta=123.0), V)
    assert (tree["rope_theta"], tree["rope_parameters"]["rope_theta"]) == (123.0, 123.0)


# --- in ---------------------------------------------------------------------------------------------------------------


def saved_by_transformers(folder, kind, **settings):
    """A tiny model of transformers with random weights, saved in its own way; settings are those of its config."""
    base = {
        "vocab_size": V, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 40,
    }  # fmt: skip
    config = getattr(transformers, f"{kind}Config")(**(base | settings))
    model = getattr(transformers, f"{kind}ForCausalLM")(config).eval()
    randomize(model)
    model.save_pretrained(folder)
    return model


def opened_here(folder):
    config, vocab_size = read_hf_config(folder / "config.json")
    model = Transformer(config, vocab_size)
    load_weights(model, folder / "model.safetensors")
    return model


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("Qwen3", {"head_dim": 16, "rope_parameters": {"rope_type": "default", "rope_theta": 1e6}}),
        ("Llama", {"rms_norm_eps": 1e-5}),
        ("Llama", {"head_dim": 4, "rope_parameters": {"rope_type": "default", "rope_theta": 5e5}}),
        ("Qwen2", {"num_key_value_heads": 1}),
    ],
)
def test_we_compute_the_same_logits_from_a_folder_of_transformers(kind, settings, tied, tmp_path):
    theirs = saved_by_transformers(tmp_path, kind, tie_word_embeddings=tied, **settings)
    ours, expected = both_logits(opened_here(tmp_path), theirs)
    assert expected.abs().max() > 1
    assert (ours - expected).abs().max() <= 1e-4


def test_weights_saved_in_bfloat16_open_in_float32(tmp_path):
    saved_by_transformers(tmp_path, "Qwen3").bfloat16().save_pretrained(tmp_path)
    assert {t.dtype for t in load_file(tmp_path / "model.safetensors").values()} == {torch.bfloat16}
    ours = opened_here(tmp_path)
    assert all(p.dtype == torch.float32 for p in ours.parameters())
    logits, expected = both_logits(ours, AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32))
    assert (logits - expected).abs().max() <= 1e-4


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("Llama", {"hidden_act": "gelu"}),
        ("Llama", {"attention_bias": True}),
        ("Llama", {"mlp_bias": True}),
        ("Llama", {"rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 1e4}}),
        ("Qwen2", {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 0}),
        ("Qwen3", {"attention_bias": True}),
        ("Mistral", {}),
    ],
)
def test_what_we_would_compute_otherwise_is_refused(kind, settings, tmp_path):
    saved_by_transformers(tmp_path, kind, **settings)
    with pytest.raises(ModelMismatch):
        opened_here(tmp_path)


# --- there and back ---------------------------------------------------------------------------------------------------


@st.composite
def shapes(draw):
    """Every field of a shape varies."""
    kv_heads, qk_norm = draw(st.integers(1, 2)), draw(st.booleans())
    return ModelConfig(
        d_model=draw(st.integers(8, 12)),
        n_layers=draw(st.integers(1, 2)),
        n_heads=kv_heads * draw(st.integers(1, 2)),
        n_kv_heads=kv_heads,
        head_dim=draw(st.sampled_from((2, 4))),
        d_ff=draw(st.integers(8, 10)),
        max_seq_len=draw(st.integers(8, 99)),
        qk_norm=qk_norm,
        attention_bias=not qk_norm and draw(st.booleans()),
        tie_embeddings=draw(st.booleans()),
        rope_theta=draw(st.floats(1.0, 1e7)),
        norm_eps=draw(st.floats(1e-9, 0.1)),
    )


@settings(max_examples=20)
@given(shapes(), st.integers(0, 99))
def test_what_is_written_is_what_is_read(tmp_path_factory, config, seed):
    folder = tmp_path_factory.mktemp("model")
    model = random_model(config, seed)
    write_model_files(model, TOKENIZER, folder)
    read, tokenizer = read_model(folder, torch.bfloat16)
    assert (read.config, read.vocab_size, read.dtype, tokenizer) == (config, V, torch.bfloat16, TOKENIZER)
    assert not read.training
    for (name, p), q in zip(model.named_parameters(), read.parameters(), strict=True):
        assert torch.equal(p, q), name


# --- what does not belong together ------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    write_model_files(random_model(shape()), TOKENIZER, tmp_path)
    return tmp_path


def change_config(folder, **changes):
    tree = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(tree | changes), encoding="utf-8")


def change_weights(folder, change):
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def cut_short(folder):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-10])


FAULTS = {
    "no folder": (lambda f: (f / "config.json").unlink(), "no model here.*config.json"),
    "not JSON": (lambda f: (f / "config.json").write_text("{"), "not a model that dozero opens"),
    "not a table": (lambda f: (f / "config.json").write_text("[]"), "not a model that dozero opens"),
    "not text": (lambda f: (f / "config.json").write_bytes(b"\xff"), "not a model that dozero opens"),
    "another architecture": (
        lambda f: change_config(f, architectures=["GPT2LMHeadModel"]),
        "GPT2LMHeadModel.*expected Qwen3ForCausalLM, Qwen2ForCausalLM, LlamaForCausalLM",
    ),
    "impossible shape": (lambda f: change_config(f, num_key_value_heads=3), "must be a multiple"),
    "another vocabulary": (
        lambda f: write_tokenizer_files(train_char_tokenizer(["abc"]), f),
        f"tokenizer and model disagree; expected {V} tokens; got 4",
    ),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "tokenizer cannot be read"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "weights cannot be read"),
    "weights cut short": (cut_short, "weights cannot be read"),
    "a tensor missing": (lambda f: change_weights(f, lambda t: t.pop("lm_head.weight")), "got lm_head.weight"),
    "a tensor too many": (lambda f: change_weights(f, lambda t: t.update(x=torch.zeros(1))), "got x$"),
    "another shape of tensor": (
        lambda f: change_weights(f, lambda t: t.update({"model.norm.weight": torch.zeros(2)})),
        r"model.norm.weight has another shape; expected \(32,\); got \(2,\)",
    ),
}


@pytest.mark.parametrize(("spoil", "message"), FAULTS.values(), ids=FAULTS)
def test_every_fault_is_named_with_its_file(spoil, message, folder):
    spoil(folder)
    with pytest.raises(ModelMismatch, match=message) as caught:
        read_model(folder)
    assert str(folder) in str(caught.value)
