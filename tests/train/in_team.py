"""What each of torchrun's processes does for test_parallel.py: several runs one after the other, torch imported once.

    torchrun --nproc_per_node 2 in_team.py FOLDER RUN:STOP_AT:key=value,... ...

A run trains the tiny settings on FOLDER/dataset in FOLDER/RUN until STOP_AT (0: to its end).
"""

import contextlib
import sys
from dataclasses import replace
from pathlib import Path

import torch

from dozero.dataset.shards import open_dataset
from dozero.device import pick_device
from dozero.testing import WORDS, tiny_config
from dozero.tokenizer.tokenizer import train_char_tokenizer
from dozero.train.events import Stepped
from dozero.train.follow import follow
from dozero.train.learner import build_model
from dozero.train.loop import train
from dozero.train.optim import build_optimizer, update
from dozero.train.split_update import update_by_turns
from dozero.train.team import join_team, share_out, share_text

SETTINGS = (
    *("model.n_layers=2", "train.steps=21", "train.batch_tokens=128", "train.save_every=6", "train.eval_every=7"),
    *("train.sample_every=10", "optim.weight_decay=0.1", "train.peer_timeout_s=60"),
)


def config_of(*overrides):
    return tiny_config(*SETTINGS, *overrides)


def train_in_team(folder, name, stop_at, overrides, device, team):
    """One run: the leader trains, the others follow."""
    config, dataset = config_of(*overrides), open_dataset(folder / "dataset")
    team = replace(team, slots=config.train.verify_slots, shard=config.train.shard)
    if team.rank:
        follow(config, dataset, device, team)
        return
    reached = [0]
    stop = lambda: bool(stop_at) and reached[0] >= stop_at  # noqa: E731 - asked after each step
    tokenizer = train_char_tokenizer(WORDS)
    for event in train(config, dataset, tokenizer, folder / name, device, should_stop=stop, team=team):
        if isinstance(event, Stepped):
            reached[0] = event.step


def shared_update_is_the_update(team):
    """Three updates with the matrices shared out move weights and state as three of one process do."""
    made = []
    for _ in range(2):
        model = build_model(config_of("model.n_layers=3"), 13, pick_device("cpu", "float32", 1))
        made.append((model, build_optimizer(model, config_of().optim)))
    for step in range(3):
        for p, q in zip(*(model.parameters() for model, _ in made), strict=True):
            p.grad = torch.randn(p.shape, generator=torch.Generator().manual_seed(step))
            q.grad = p.grad.clone()
        update(made[0][1], step, 0.5)
        update_by_turns(team, made[1][1], step, 0.5)
    (model, optimizer), (twin, twin_optimizer) = made
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(q, p, rtol=1e-5, atol=1e-6)
    for name, tensor in optimizer.state.items():
        torch.testing.assert_close(twin_optimizer.state[name], tensor, rtol=1e-6, atol=1e-9)
    mine = torch.cat([q.detach().flatten() for q in twin.parameters()])
    first = mine.clone()
    share_out(team, [first])
    assert torch.equal(mine, first), "every process has the same bits"


def main():
    folder, runs = Path(sys.argv[1]), [run.split(":") for run in sys.argv[2:]]
    config = config_of()
    device = pick_device("cpu", "float32", 1)
    torch.set_num_threads(1)
    with join_team(config.train, device) as team, contextlib.chdir(folder):
        assert share_text(team, f"olá de {team.rank}") == "olá de 0"
        shared_update_is_the_update(team)
        for name, stop_at, overrides in runs:
            train_in_team(folder, name, int(stop_at), [o for o in overrides.split(",") if o], device, team)


if __name__ == "__main__":
    main()
