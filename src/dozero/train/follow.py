"""What the processes of a team do that do not lead it: whatever the leader has all do next, until it says stop."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from dozero.dataset.rows import Rows, pack_rows
from dozero.dataset.shards import Dataset
from dozero.device import Device
from dozero.errors import DivergedError
from dozero.eval.likelihood import measure_surprise, total_nats
from dozero.generate.engine import decode
from dozero.model.transformer import Transformer
from dozero.settings import RunConfig
from dozero.tokenizer.tokenizer import END_ID
from dozero.train.checkpoint import save_share
from dozero.train.learner import build_learner
from dozero.train.optim import Optimizer
from dozero.train.parallel import step_together, take_state
from dozero.train.shard import gather_model
from dozero.train.team import Call, Order, Team, hear, noticing_lost_peers, share_text
from dozero.train.tell import sample_seed


def follow(config: RunConfig, dataset: Dataset, device: Device, team: Team) -> None:
    """Take part in the run that the leader of the team `train`s, and return when it is over.

    Whatever the leader decides by its clock or a signal it tells; what follows from data and step is computed here
    as it is there. Raises PeerLost when the leader is gone.
    """
    model, optimizer = build_learner(config, dataset.vocab_size, device, team)
    rows = pack_rows(dataset.train, config.model.max_seq_len)
    with noticing_lost_peers(team):
        while (call := hear(team)).order != Order.STOP:
            _obey(call, config, dataset, rows, team, model, optimizer)


def _obey(
    call: Call,
    config: RunConfig,
    dataset: Dataset,
    rows: Rows,
    team: Team,
    model: Transformer,
    optimizer: Optimizer,
) -> None:
    match call.order:
        case Order.STOP:
            raise AssertionError("nothing comes after stop")
        case Order.LOAD:
            take_state(team, model, optimizer)
        case Order.STEP:
            with suppress(DivergedError):  # the leader has it too, and decides what is done about it
                step_together(team, model, optimizer, rows, config, call)
        case Order.EVALUATE:
            total_nats(model, pack_rows(dataset.heldout, config.model.max_seq_len, config.eval.heldout_docs))
        case Order.SAMPLE:
            for _ in decode(model, [END_ID], config.generate, [sample_seed(config, call.step)], END_ID):
                pass  # only the weights that it gathers are wanted
        case Order.SAVE:
            save_share(team, model, optimizer, Path(share_text(team, "")))
        case Order.FINISH:
            measure_surprise(model, dataset.heldout)
            gather_model(team, model)
