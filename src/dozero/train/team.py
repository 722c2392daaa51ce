"""Several processes that train one model: who they are, and what they say to one another.

The first of them, rank 0, leads. It alone reads clocks and signals, writes files and prints; before anything that all
do together it gives an order, and the others obey (follow.py). What travels is tensors and text, never objects.
"""

from __future__ import annotations

import math
import os
import re
import sys
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum

import torch
import torch.distributed as dist
from torch import Tensor

from dozero.device import Device
from dozero.errors import ConfigError, DivergedError, PeerLost
from dozero.settings import TrainConfig
from dozero.train.board import Board, open_board
from dozero.train.step import Schedule

# How torch's libraries begin to tell that the other end is gone or silent; anything else is a mistake of ours.
LOST = ("gloo", "NCCL", "Connection", "Timed out", "timed out", "Broken pipe", "Socket", "pair closure")
LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"
FIRST_WORD = "dozero/settings"
SECONDS_BETWEEN_LOOKS = 0.2
LONGEST_START = timedelta(minutes=10)


@dataclass
class Team:
    """The processes that train one model together; alone, there is one."""

    rank: int = 0
    size: int = 1
    slots: int = 0
    """Portions whose gradients are added in order, for equal bits in a team of any size; 0 lets the library add."""
    shard: bool = False
    """Whether a checkpoint holds tensors one by one, so that a team of any size shares them out again."""
    device: str = "cpu"
    store: dist.Store | None = None
    board: Board | None = None
    """What processes on the CPUs of one machine share."""
    is_at_work: bool = True
    """False once the followers were sent home, or one is lost."""

    @property
    def is_sharded(self) -> bool:
        """Whether each process holds only a share of weights and state."""
        return self.shard and self.size > 1


class Order(IntEnum):
    """What the leader has all do next."""

    STOP = 0
    LOAD = 1
    STEP = 2
    EVALUATE = 3
    SAMPLE = 4
    SAVE = 5
    FINISH = 6


@dataclass(frozen=True)
class Call:
    """What the leader tells all: what to do next, and where the run stands."""

    order: Order
    step: int
    schedule: Schedule
    window: int = 0
    """Of data, that a step is made of."""
    loss_limit: float = math.inf
    """Of a step: what is above is a jump."""


def lone_team(config: TrainConfig) -> Team | None:
    """Return the team of one process where settings want more of it than plain steps, else None."""
    return Team(slots=config.verify_slots, shard=config.shard) if config.verify_slots or config.shard else None


@contextmanager
def join_team(config: TrainConfig, device: Device) -> Iterator[Team | None]:
    """Make the process group of torchrun's processes until leaving; None where there is only this one.

    Processes of one machine talk over its loopback device unless GLOO_SOCKET_IFNAME or NCCL_SOCKET_IFNAME say
    otherwise; those of several machines over whatever device leads to the others. Only entry points call this.
    """
    if device.world_size == 1:
        yield None
        return
    _check_size(config, device)
    if _is_one_machine(device):
        for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
            os.environ.setdefault(name, LOOPBACK)
    timeout = timedelta(seconds=config.peer_timeout_s)
    team = Team(device.rank, device.world_size, config.verify_slots, config.shard, device.type)
    with noticing_lost_peers(team):
        try:
            store, _, _ = next(iter(dist.rendezvous("env://", timeout=max(timeout, LONGEST_START))))
        except ValueError as error:  # a variable is missing
            raise ConfigError(f"not started by torchrun ({error})", next="torchrun -m dozero train run.toml") from None
        team.store = _meet(team, store)
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"  # orders travel between CPUs in any case
        dist.init_process_group(
            backend, store=team.store, rank=team.rank, world_size=team.size, timeout=timeout,
            device_id=torch.device("cuda", device.local_rank) if device.type == "cuda" else None,
        )  # fmt: skip
        if device.type == "cpu" and _is_one_machine(device):
            team.board = open_board(team.rank, team.size, lambda text: share_text(team, text), dist.barrier)
    try:
        yield team
    finally:
        with suppress(RuntimeError):  # of a store that is gone: then there is nobody to tell
            if team.rank == 0 and not team.store.check([FIRST_WORD]):
                team.store.set(FIRST_WORD, "")
        dist.destroy_process_group()


def _is_one_machine(device: Device) -> bool:
    return os.environ.get("LOCAL_WORLD_SIZE") == str(device.world_size)


def _meet(team: Team, store: dist.Store) -> dist.Store:
    """Wait until all processes have started, some perhaps minutes later, and return a part of the store for them alone.

    A store outlives its processes when torchrun begins again: what those before wrote, addresses too, must not be
    taken for news. So each follower asks by a name never used before, and the leader answers with the part's name.
    """
    name = uuid.uuid4().hex
    if team.rank:
        store.set(f"dozero/asks/{team.rank}", name)
        store.wait([f"dozero/answer/{name}"], LONGEST_START)
        part = store.get(f"dozero/answer/{name}").decode()
        store.set(f"dozero/{part}/{team.rank}", "")
        return dist.PrefixStore(part, store)
    awaited, ends = set(range(1, team.size)), time.monotonic() + LONGEST_START.total_seconds()
    while awaited:
        if time.monotonic() > ends:
            raise dist.DistStoreError(f"Timed out waiting for processes {sorted(awaited)} to start")
        for rank in [rank for rank in awaited if store.check([f"dozero/asks/{rank}"])]:
            store.set(f"dozero/answer/{store.get(f'dozero/asks/{rank}').decode()}", name)
        awaited = {rank for rank in awaited if not store.check([f"dozero/{name}/{rank}"])}
        time.sleep(SECONDS_BETWEEN_LOOKS / 4)
    return dist.PrefixStore(name, store)


def _check_size(config: TrainConfig, device: Device) -> None:
    if device.type == "mps":
        raise ConfigError("MPS is one device, not several", where="train.device", expected="cpu or cuda")
    if config.verify_slots % device.world_size:
        raise ConfigError(
            "slots cannot be shared out evenly",
            where="train.verify_slots",
            expected=f"a multiple of {device.world_size} processes",
            got=config.verify_slots,
        )


@contextmanager
def noticing_lost_peers(team: Team) -> Iterator[None]:
    """Turn what the libraries say of a process that ended or fell silent into PeerLost.

    Whatever else goes wrong inside leaves the others waiting for this process, in the middle of something: no further
    word may reach them. (Of one longer than what it waits for, gloo aborts a process; of others it waits out the
    timeout.) They find this one gone when it ends.
    """
    try:
        yield
    except DivergedError:  # all of them have it, and wait for what is next
        raise
    except BaseException as error:
        team.is_at_work = False
        if not _tells_of_loss(error):
            raise
        raise PeerLost(
            "another process of this run ended or does not answer, so this one ends too",
            where=f"process {team.rank} of {team.size}",
            got=_gist(str(error)),
            next="the same command, which continues from the last checkpoint",
        ) from error


def _tells_of_loss(error: BaseException) -> bool:
    if not isinstance(error, RuntimeError):
        return False
    return isinstance(error, dist.DistError) or any(word in str(error) for word in LOST)


@contextmanager
def with_all(team: Team | None, order: Order, step: int, schedule: Schedule) -> Iterator[None]:
    """Have the followers join in what the leader does alone unless the model is in shards."""
    if team is None or not team.is_sharded:
        yield
        return
    tell(team, Call(order, step, schedule))
    with noticing_lost_peers(team):
        yield


def _gist(message: str) -> str:
    """Return what a library's message says, without the place in its source and the advice.

    >>> _gist("[/a/gloo/tcp/pair.cc:553] Connection closed by peer [127.0.0.1]:1830. This is typically caused by")
    'Connection closed by peer [127.0.0.1]:1830'
    """
    return re.sub(r"^\[[^]]*\]\s*", "", message.strip()).splitlines()[0].partition(". ")[0]


def announce(team: Team | None, text: str) -> None:
    """Tell the followers, who may have waited for hours while data were made, what is to be trained."""
    if team is not None and team.store is not None:
        team.store.set(FIRST_WORD, text)


def await_announcement(team: Team) -> str:
    """Wait, for as long as it takes, for what the leader announces; "" when nothing is to be trained."""
    assert team.store is not None
    with noticing_lost_peers(team):
        while not team.store.check([FIRST_WORD]):
            time.sleep(SECONDS_BETWEEN_LOOKS)
        return team.store.get(FIRST_WORD).decode()


def tell(team: Team, call: Call) -> None:
    """Have all followers do something."""
    if team.is_at_work:
        schedule = call.schedule
        places = [schedule.total_steps, schedule.from_step, schedule.from_progress]
        words = [call.order, call.step, *places, call.window, call.loss_limit]
        share_out(team, [torch.tensor(words, dtype=torch.float64)])


def hear(team: Team) -> Call:
    """Wait for what the leader has all do next."""
    heard = torch.zeros(7, dtype=torch.float64)
    share_out(team, [heard])
    order, step, total_steps, from_step, from_progress, window, loss_limit = heard.tolist()
    schedule = Schedule(int(total_steps), int(from_step), from_progress)
    return Call(Order(int(order)), int(step), schedule, int(window), loss_limit)


def dismiss(team: Team | None) -> None:
    """Send the followers home, those that still are there."""
    if team is not None and team.is_at_work:
        with suppress(PeerLost):
            tell(team, Call(Order.STOP, 0, Schedule(1)))
        team.is_at_work = False


def share_out(team: Team, tensors: Iterable[Tensor]) -> None:
    """Fill tensors with the leader's values."""
    if team.size == 1:
        return
    with noticing_lost_peers(team):
        for tensor in tensors:
            dist.broadcast(tensor, src=0)


def share_text(team: Team, text: str) -> str:
    """Return the leader's text."""
    data = torch.tensor(list(text.encode()), dtype=torch.uint8)
    length = torch.tensor([len(data)])
    share_out(team, [length])
    if team.rank:
        data = torch.zeros(int(length), dtype=torch.uint8)
    share_out(team, [data] if int(length) else [])
    return bytes(data.tolist()).decode()
