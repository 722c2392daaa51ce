"""One training step in several processes: each computes its rows of the same batch, gradients add up, all update alike.

The batch of a step follows from (seed, step), whatever the size of the team, and the loss is divided by the targets of
the whole step: so is the sum of the gradients the gradient that one process would compute, but for the order in which
fp32 adds. Verify mode fixes that order too: the step is cut into slots, the gradient of each is computed apart, and
they are added one after the other.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn

from dozero.dataset.batch import Batch, share_of_step
from dozero.dataset.rows import Rows
from dozero.errors import ConfigError
from dozero.model.transformer import Transformer
from dozero.settings import RunConfig
from dozero.train.attention import attention_of, use_attention
from dozero.train.checkpoint import RunState
from dozero.train.optim import Optimizer, update
from dozero.train.pieces import read_pieces
from dozero.train.shard import clip_shards, update_shards
from dozero.train.split_update import update_by_turns
from dozero.train.step import (
    StepResult,
    add_gradients,
    clip_gradients,
    forget_gradients,
    kernels_of,
    rate_of_step,
    refuse_bad_step,
)
from dozero.train.team import Call, Order, Team, noticing_lost_peers, share_out, share_text, tell

BUCKET_ELEMENTS = 8_000_000  # of gradients added at once: enough to be fast, little beside the model


def check_shares(team: Team, config: RunConfig) -> None:
    """Raise ConfigError unless a step has rows for every process, and for shards equally many."""
    rows, least = config.rows_per_step, team.size * config.model.max_seq_len
    if rows < team.size or (team.is_sharded and rows % team.size):
        raise ConfigError(
            f"{rows} rows of {config.model.max_seq_len} tokens cannot be shared out to {team.size} processes",
            where="train.batch_tokens",
            expected=f"a multiple of {least}" if team.is_sharded else f"{least} or more",
            got=config.train.batch_tokens,
        )


def cut(count: int, parts: int) -> list[int]:
    """Return where `parts` nearly equal parts of `count` things begin, and where the last ends.

    >>> cut(7, 3), cut(8, 2)
    ([0, 2, 4, 7], [0, 4, 8])
    """
    return [count * part // parts for part in range(parts + 1)]


def own_slots(team: Team, rows: int) -> list[int]:
    """Return where the slots of this process begin among the rows of a step, and where the last ends.

    >>> own_slots(Team(rank=1, size=2), 10), own_slots(Team(rank=1, size=2, slots=4), 10)
    ([5, 10], [5, 7, 10])
    """
    slots = team.slots or team.size
    each = slots // team.size
    return cut(rows, slots)[team.rank * each : (team.rank + 1) * each + 1]


def give_state(team: Team, model: Transformer, optimizer: Optimizer, state: RunState, checkpoint: Path | None) -> None:
    """Bring the followers to where the leader is: by its weights, or if they hold shares by the checkpoint it read."""
    tell(team, Call(Order.LOAD, state.step, state.schedule))
    share_text(team, attention_of(model))
    if team.is_sharded:
        share_text(team, str(checkpoint.resolve()) if checkpoint else "")
    else:
        share_out(team, _everything(model, optimizer))


def take_state(team: Team, model: Transformer, optimizer: Optimizer) -> None:
    """Come to where the leader is, and compute attention as it does."""
    use_attention(model, share_text(team, ""))
    if not team.is_sharded:
        share_out(team, _everything(model, optimizer))
        return
    checkpoint = share_text(team, "")
    if checkpoint:
        read_pieces(team, model, optimizer, Path(checkpoint))


def _everything(model: Transformer, optimizer: Optimizer) -> list[Tensor]:
    return [*(p.data for p in model.parameters()), *optimizer.state.values()]


def step_together(
    team: Team,
    model: Transformer,
    optimizer: Optimizer,
    rows: Rows,
    config: RunConfig,
    call: Call,
    *,
    keep_gradients: bool = False,
) -> tuple[StepResult, Batch, float]:
    """Update the weights once, as every process of the team does.

    Returns what was measured, this process's rows and when they were there. Raises DivergedError in all processes
    alike, before the update, and PeerLost when another one is gone; unless the weights are shards, they and their
    state are then those before the step.
    """
    if team.rank == 0:
        tell(team, call)
    kept = False
    try:
        with noticing_lost_peers(team):
            bounds = own_slots(team, config.rows_per_step)
            batch = share_of_step(rows, config.rows_per_step, config.seed, call.window, bounds[0], bounds[-1])
            parts = [batch.rows(begin - bounds[0], end - bounds[0]) for begin, end in pairwise(bounds)]
            loaded = time.perf_counter()
            result = _update_together(team, model, optimizer, parts, config.rows_at_once, call)
            kept = keep_gradients
    finally:
        if not kept:
            forget_gradients(optimizer)
    return result, batch, loaded


def _update_together(
    team: Team, model: Transformer, optimizer: Optimizer, parts: list[Batch], rows_at_once: int, call: Call
) -> StepResult:
    params = list(optimizer.params.values())
    device = params[0].device
    if team.slots:
        loss = _add_in_order(team, model, params, [part.to(device) for part in parts], rows_at_once)
    else:
        loss = add_gradients(model, parts[0].to(device), rows_at_once).view(1)
        sum_over_team(team, [loss] if team.is_sharded else [loss, *(_gradient(p) for p in params)])
    clip = optimizer.config.clip
    norm = clip_shards(team, optimizer) if team.is_sharded else clip_gradients(params, clip)
    measured = torch.cat([loss, norm.view(1)])
    if team.board is None:  # whether the step is bad is decided on the same numbers everywhere; of a board they are
        share_out(team, [measured])
    loss_value, grad_norm = measured.tolist()
    refuse_bad_step(optimizer, call.step, loss_value, grad_norm, call.loss_limit)
    scale = rate_of_step(optimizer, call.step, call.schedule)
    if team.is_sharded:
        update_shards(team, optimizer, call.step, scale)
    elif team.slots or team.size == 1:
        update(optimizer, call.step, scale, kernels_of(model))
    else:
        update_by_turns(team, optimizer, call.step, scale, kernels_of(model))
    return StepResult(loss_value, grad_norm, scale)


def sum_over_team(team: Team, tensors: list[Tensor]) -> None:
    """Replace each tensor by its sum over all processes."""
    if team.size == 1:
        return
    if team.board is not None:
        team.board.sum(tensors)
        return
    for bucket in _buckets(tensors):
        flat = torch.cat([t.flatten() for t in bucket])
        dist.all_reduce(flat)
        for t, summed in zip(bucket, flat.split([t.numel() for t in bucket]), strict=True):
            t.copy_(summed.view_as(t))


def _buckets(tensors: Iterable[Tensor]) -> Iterator[list[Tensor]]:
    """Yield the tensors in groups, each closed as soon as it is large enough."""
    bucket: list[Tensor] = []
    for t in tensors:
        bucket.append(t)
        if sum(b.numel() for b in bucket) >= BUCKET_ELEMENTS:
            yield bucket
            bucket = []
    if bucket:
        yield bucket


def _add_in_order(
    team: Team, model: Transformer, params: list[nn.Parameter], slots: list[Batch], rows_at_once: int
) -> Float[Tensor, "1"]:
    """Give every process the gradients of all slots added from the first to the last, and return the loss so added.

    The sum goes from process to process, each adding its own slots: ((s0 + s1) + s2) + s3, wherever each was computed.
    """
    own = []
    for slot in slots:
        loss = add_gradients(model, slot, rows_at_once)
        own.append(torch.cat([loss.view(1), *(_gradient(p).flatten() for p in params)]))
        for p in params:
            p.grad = None
    total = own.pop(0) if team.rank == 0 else torch.empty_like(own[0])
    if team.rank > 0:
        dist.recv(total, src=team.rank - 1)
    for gradient in own:
        total += gradient
    if team.size > 1:
        if team.rank + 1 < team.size:
            dist.send(total, dst=team.rank + 1)
        dist.broadcast(total, src=team.size - 1)
    loss, *gradients = total.split([1, *(p.numel() for p in params)])
    for p, gradient in zip(params, gradients, strict=True):
        p.grad = gradient.view_as(p)
    return loss


def _gradient(p: nn.Parameter) -> Tensor:
    assert p.grad is not None, "sum before backward"
    return p.grad
