"""What each of torchrun's processes does for test_parallel.py: several runs one after the other, torch imported once.

    torchrun --nproc_per_node 2 in_team.py FOLDER RUN:STOP_AT:key=value,... ...

A run trains the tiny settings on FOLDER/dataset in FOLDER/RUN until STOP_AT (0: to its end). A run whose name begins
with bad trains on FOLDER/bad, where one document makes each step that holds it not finite.
"""

import contextlib
import sys
from dataclasses import replace
from pathlib import Path

import torch

from dozero.dataset.rows import pack_rows
from dozero.dataset.shards import open_dataset
from dozero.dataset.split import is_heldout
from dozero.device import pick_device
from dozero.errors import DivergedError
from dozero.testing import WORDS, tiny_config
from dozero.tokenizer.tokenizer import train_char_tokenizer
from dozero.train.events import Stepped
from dozero.train.follow import follow
from dozero.train.learner import build_learner, build_model
from dozero.train.loop import train
from dozero.train.optim import build_optimizer, update
from dozero.train.parallel import step_together
from dozero.train.shard import own_rows
from dozero.train.split_update import update_by_turns
from dozero.train.step import Schedule
from dozero.train.team import Call, Order, join_team, share_out, share_text

SETTINGS = (
    *("model.n_layers=2", "train.steps=21", "train.batch_tokens=128", "train.save_every=6", "train.eval_every=7"),
    *("train.sample_every=10", "optim.weight_decay=0.1", "train.peer_timeout_s=60"),
)


# Of a model with an infinite number in the row of z.
POISON = next(word for n in range(1, 9) for word in ["z" * n + "ba"] if not is_heldout(word, 20.0))


def config_of(*overrides):
    return tiny_config(*SETTINGS, *overrides)


def data_of(folder, name):
    """Dataset and tokenizer of a run."""
    if name.startswith("bad"):
        return open_dataset(folder / "bad"), train_char_tokenizer((*WORDS, POISON))
    return open_dataset(folder / "dataset"), train_char_tokenizer(WORDS)


def train_in_team(folder, name, stop_at, overrides, device, team):
    """One run: the leader trains, the others follow."""
    config, (dataset, tokenizer) = config_of(*overrides), data_of(folder, name)
    team = replace(team, slots=config.train.verify_slots, shard=config.train.shard)
    if team.rank:
        follow(config, dataset, device, team)
        return
    reached = [0]
    stop = lambda: bool(stop_at) and reached[0] >= stop_at  # noqa: E731 - asked after each step
    with contextlib.suppress(DivergedError):  # what a run wrote tells of it
        for event in train(config, dataset, tokenizer, folder / name, device, should_stop=stop, team=team):
            if isinstance(event, Stepped):
                reached[0] = event.step


def a_bad_step_is_bad_for_all(team, folder, *overrides):
    """R08: a limit just below the loss of all rows stops every process before its update, one just above none of them."""
    config, (dataset, _) = config_of(*overrides), data_of(folder, "good")
    team = replace(team, slots=config.train.verify_slots, shard=config.train.shard)
    model, optimizer = build_learner(config, dataset.vocab_size, pick_device("cpu", "float32", 1), team)
    rows = pack_rows(dataset.train, config.model.max_seq_len)
    # Every process asks by itself, as the leader of nobody: here each knows what is next.
    ask = lambda limit: step_together(  # noqa: E731 - one call, three times
        replace(team, is_at_work=False), model, optimizer, rows, config, Call(Order.STEP, 0, Schedule(9), 4, limit)
    )
    before = [own_rows(p).clone() for p in model.parameters()]
    for limit in (0.0, 2.5):  # the loss of 13 tokens alike is 2.565, and each process has half of the rows
        with contextlib.suppress(DivergedError):
            ask(limit)
            raise AssertionError(f"process {team.rank} made a step that is bad for others")
        assert all(torch.equal(own_rows(p), b) for p, b in zip(model.parameters(), before, strict=True))
        assert all(p.grad is None for p in model.parameters())
    result, _, _ = ask(2.6)
    assert 2.5 < result.loss < 2.6
    assert not all(torch.equal(own_rows(p), b) for p, b in zip(model.parameters(), before, strict=True))


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
        for how in ("", "train.verify_slots=4", "train.shard=true"):
            a_bad_step_is_bad_for_all(team, folder, *filter(None, [how]))
        for name, stop_at, overrides in runs:
            train_in_team(folder, name, int(stop_at), [o for o in overrides.split(",") if o], device, team)


if __name__ == "__main__":
    main()
