"""What pieces.py promises: weights and state written tensor by tensor come back bit for bit, or the damage is named."""

import json

import pytest
import torch
from safetensors.torch import load_file

from dozero.device import Device
from dozero.errors import CheckpointError
from dozero.model.hf import INDEX
from dozero.testing import tiny_config
from dozero.train.learner import build_model
from dozero.train.optim import build_optimizer
from dozero.train.pieces import STATE_INDEX, holds_pieces, read_pieces, state_pieces, weight_pieces, write_pieces
from dozero.train.team import Team

TEAM = Team(shard=True)


def make(*settings, seed=None):
    config = tiny_config("model.n_layers=2", *settings)
    model = build_model(config, 13, Device("cpu", torch.float32, 1))
    optimizer = build_optimizer(model, config.optim)
    if seed is not None:
        draw = torch.Generator().manual_seed(seed)
        for tensor in [*model.parameters(), *optimizer.state.values()]:
            tensor.data.copy_(torch.randn(tensor.shape, generator=draw))
    return model, optimizer


@pytest.mark.parametrize("tied", ["true", "false"])
def test_everything_comes_back_bit_for_bit(tied, tmp_path):
    tie = f"model.tie_embeddings={tied}"
    (model, optimizer), (other, other_optimizer) = make(tie, seed=4), make(tie)
    assert not holds_pieces(tmp_path)
    write_pieces(TEAM, model, optimizer, tmp_path)
    assert holds_pieces(tmp_path)
    read_pieces(TEAM, other, other_optimizer, tmp_path)
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(p, q)
    assert all(torch.equal(t, other_optimizer.state[name]) for name, t in optimizer.state.items())


def test_every_number_of_weights_and_state_has_its_name():
    model, optimizer = make(seed=1)
    weights, state = weight_pieces(TEAM, model), state_pieces(TEAM, optimizer)
    assert weights.keys() == dict(model.named_parameters()).keys()
    assert sum(p.rows.numel() for p in state.values()) == sum(t.numel() for t in optimizer.state.values())
    momentum = {name.partition(".")[2] for name in state if name.startswith("momentum.")}
    assert momentum == {name for stack in optimizer.stacks for name in stack}


def test_the_index_names_the_file_of_each_tensor(tmp_path):
    write_pieces(TEAM, *make(seed=2), tmp_path)
    for name in (INDEX, STATE_INDEX):
        index = json.loads((tmp_path / name).read_text(encoding="utf-8"))
        stored = {file: load_file(tmp_path / file) for file in set(index["weight_map"].values())}
        assert all(tensor in stored[file] for tensor, file in index["weight_map"].items())
        assert index["metadata"]["total_size"] == sum(t.nbytes for f in stored.values() for t in f.values())


@pytest.mark.parametrize("what", ["another model", "another shape", "cut file", "no file", "index of nothing"])
def test_damage_is_named(what, tmp_path):
    write_pieces(TEAM, *make(seed=2), tmp_path)
    (weights,) = tmp_path.glob("model-*.safetensors")
    if what == "cut file":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif what == "no file":
        weights.unlink()
    elif what == "index of nothing":
        (tmp_path / INDEX).write_text("[]", encoding="utf-8")
    settings = {"another model": ["model.n_layers=3"], "another shape": ["model.d_ff=40"]}.get(what, [])
    with pytest.raises(CheckpointError):
        read_pieces(TEAM, *make(*settings), tmp_path)
