"""What shard.py promises: rows shared out and gathered again. Training in shards: test_parallel.py."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dozero.device import Device
from dozero.testing import tiny_config
from dozero.train.learner import build_model
from dozero.train.optim import build_optimizer, update
from dozero.train.shard import (
    build_sharded_optimizer,
    clip_shards,
    first_row,
    gather_model,
    gather_rows,
    own_rows,
    rows_each,
    shard_model,
    update_shards,
)
from dozero.train.team import Team

CPU = Device("cpu", torch.float32, 1)


@given(rows=st.integers(0, 50), size=st.integers(1, 9))
def test_every_row_belongs_to_one_process_as_torch_chunks_them(rows, size):
    begins = [first_row(Team(rank=rank, size=size), rows) for rank in range(size)]
    sizes = [end - begin for begin, end in zip(begins, [*begins[1:], rows], strict=True)]
    chunks = [len(chunk) for chunk in torch.empty(rows, 2).chunk(size)] if rows else []
    assert sizes == chunks + [0] * (size - len(chunks))
    assert max(sizes) <= rows_each(Team(size=size), rows)


def made():
    config = tiny_config("model.n_layers=2", "optim.weight_decay=0.1")
    return build_model(config, 13, CPU), config.optim


@pytest.mark.usefixtures("lone_group")
def test_one_shard_clips_and_moves_as_the_whole():
    """A mesh of one process: FSDP2's tensors, its gradients and our update of them."""
    (whole, config), (model, _), team = made(), made(), Team()
    optimizer = build_optimizer(whole, config)
    shard_model(team, model)
    sharded = build_sharded_optimizer(model, config)
    assert (sharded.stacks, sharded.adam) == (optimizer.stacks, optimizer.adam)
    ids = torch.arange(32).remainder(13).view(2, 16)
    for step in range(3):
        for learner in (whole, model):
            learner(ids).float().logsumexp(-1).sum().backward()
        norms = torch.nn.utils.clip_grad_norm_(whole.parameters(), config.clip), clip_shards(team, sharded)
        torch.testing.assert_close(norms[1], norms[0])
        update(optimizer, step, 0.5)
        update_shards(team, sharded, step, 0.5)
        whole.zero_grad()
        model.zero_grad()
    gathered = dict(gather_model(team, model).named_parameters())
    for name, p in whole.named_parameters():
        torch.testing.assert_close(gathered[name], p, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("lone_group")
def test_gathered_rows_are_the_tensor():
    t = torch.arange(14.0).view(7, 2)
    assert torch.equal(gather_rows(Team(), t, 7), t)


def test_rows_of_a_plain_tensor_are_its_memory():
    p = torch.nn.Parameter(torch.zeros(3))
    own_rows(p).fill_(2.0)
    assert p.tolist() == [2.0, 2.0, 2.0]
