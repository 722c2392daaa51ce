"""Folders of transformers are read whole; a pickle is never opened, and what is broken is told."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from dozero.errors import ModelMismatch
from dozero.interop.hf_import import read_folder_source
from dozero.model.hf import write_model_files


@pytest.fixture
def copy(folder_of_others, tmp_path):
    """A folder that a test may spoil."""
    return shutil.copytree(folder_of_others.path, tmp_path / "copy")


def test_shape_weights_and_tokenizer_are_those_of_the_folder(folder_of_others):
    source = read_folder_source(folder_of_others.path)
    state = {n: t for n, t in folder_of_others.model.state_dict().items() if n in source.tensors}
    assert set(source.tensors) == set(state)
    assert all(torch.equal(source.tensors[name], state[name]) for name in state)
    assert source.config.architecture == folder_of_others.model.config.architectures[0]
    assert source.tokenizer.vocab_size == folder_of_others.model.config.vocab_size
    assert source.dtype == torch.float32
    assert {f.name for f in source.files} == {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }


def test_the_number_format_is_told_and_a_mixed_one_is_fp32(copy):
    tensors = load_file(copy / "model.safetensors")
    save_file({n: t.bfloat16() for n, t in tensors.items()}, copy / "model.safetensors", {"format": "pt"})
    source = read_folder_source(copy)
    assert (source.dtype, source.about["stored as"]) == (torch.bfloat16, "bfloat16")
    mixed = {n: t.half() if "norm" in n else t for n, t in tensors.items()}
    save_file(mixed, copy / "model.safetensors", {"format": "pt"})
    assert read_folder_source(copy).dtype == torch.float32
    save_file({n: t.to(torch.int8) for n, t in tensors.items()}, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelMismatch, match=r"weights in a format that dozero does not open; got torch\.int8"):
        read_folder_source(copy)


def test_weights_in_several_files_and_what_older_folders_hold_twice(folder_of_others, tmp_path):
    shutil.copytree(folder_of_others.path, tmp_path / "split")
    (tmp_path / "split" / "model.safetensors").unlink()
    folder_of_others.model.save_pretrained(tmp_path / "split", max_shard_size="20KB")
    whole, split = read_folder_source(folder_of_others.path), read_folder_source(tmp_path / "split")
    assert len(split.files) > len(whole.files)
    assert all(torch.equal(whole.tensors[name], split.tensors[name]) for name in whole.tensors)
    tensors = load_file(folder_of_others.path / "model.safetensors")
    more = {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4)}
    if "lm_head.weight" not in tensors:
        more["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
    shutil.copytree(folder_of_others.path, tmp_path / "older")
    save_file(tensors | more, tmp_path / "older" / "model.safetensors", {"format": "pt"})
    assert set(read_folder_source(tmp_path / "older").tensors) == set(whole.tensors)


def test_a_folder_of_our_own_keeps_our_tokenizer(write_ours):
    for kind in ("char", "bpe"):
        folder = write_ours(kind=kind)
        assert read_folder_source(folder).tokenizer.imported is None
        shutil.rmtree(folder)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pth", "last.ckpt"])
def test_a_pickle_is_named_and_never_opened(copy, name):
    (copy / "model.safetensors").unlink()
    (copy / name).write_bytes(b"cos\nsystem\n(S'touch executed'\ntR.")  # what a pickle that runs a command looks like
    with pytest.raises(ModelMismatch, match=rf"its weights are a pickle.*never opens one; expected .*; got {name}"):
        read_folder_source(copy)
    assert not list(copy.rglob("executed"))


def test_a_pickle_under_a_safetensors_name_is_no_safetensors(copy):
    torch_file = copy / "model.safetensors"
    torch_file.write_bytes(b"\x80\x04cos\nsystem\n(S'touch executed'\ntR." * 10)
    with pytest.raises(ModelMismatch, match="weights cannot be read"):
        read_folder_source(copy)


def test_an_index_names_only_files_beside_it(copy):
    (copy / "model.safetensors").rename(copy.parent / "stolen.safetensors")
    index = {"weight_map": {"model.norm.weight": "../stolen.safetensors"}}
    (copy / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelMismatch, match=r"names '\.\./stolen\.safetensors', which is no file beside it"):
        read_folder_source(copy)


@pytest.mark.parametrize("kept", [0, 7, 8, 500, -1])
def test_a_file_cut_short_is_told(copy, kept):
    file = copy / "model.safetensors"
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(ModelMismatch, match=r"model\.safetensors: weights cannot be read"):
        read_folder_source(copy)


def test_a_folder_without_weights_is_told(copy):
    (copy / "model.safetensors").unlink()
    with pytest.raises(ModelMismatch, match=r"holds no weights; expected model\.safetensors or"):
        read_folder_source(copy)


def test_a_tokenizer_of_another_size_is_refused(copy, ours, tmp_path):
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"vocab_size": config["vocab_size"] + 1}))
    with pytest.raises(ModelMismatch, match="tokenizer and model disagree"):
        read_folder_source(copy)
    mine = ours()
    write_model_files(mine.model, mine.tokenizer, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"vocab_size": 77}))
    with pytest.raises(ModelMismatch, match="tokenizer and model disagree; expected 77 tokens; got 500"):
        read_folder_source(tmp_path)


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlicense: apache-2.0\nlanguage: pt\n---\n# A model\n", "apache-2.0"),
        ("---\nlanguage: pt\nlicense: 'mit'  # as it says\n---\n", "mit"),
        ("---\nlanguage: pt\n---\nlicense: gpl\n", "unknown"),
        ("# no head\n", "unknown"),
        (None, "unknown"),
    ],
)
def test_the_licence_is_what_the_head_of_the_card_says(copy, card, licence):
    if card is not None:
        (copy / "README.md").write_text(card)
    assert read_folder_source(copy).about["licence"] == licence
