"""What team.py promises: one process is no team; what is lost, wrong or missing is told. Real teams: test_parallel.py."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torch.distributed as dist

from dozero.device import Device
from dozero.errors import ConfigError, PeerLost
from dozero.settings import TrainConfig
from dozero.train import team as team_module
from dozero.train.step import Schedule
from dozero.train.team import (
    FIRST_WORD,
    Call,
    Order,
    Team,
    announce,
    await_announcement,
    dismiss,
    hear,
    join_team,
    lone_team,
    noticing_lost_peers,
    share_text,
    tell,
)

TWO = Device("cpu", torch.float32, 1, rank=0, world_size=2)
VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "LOCAL_WORLD_SIZE")


def test_one_process_is_no_team_and_makes_no_group():
    with join_team(TrainConfig(), Device("cpu", torch.float32, 1)) as team:
        assert team is None
        assert not dist.is_initialized()


def test_alone_there_is_a_team_only_where_settings_want_one():
    assert lone_team(TrainConfig()) is None
    assert lone_team(TrainConfig(verify_slots=4)) == Team(slots=4)
    assert lone_team(TrainConfig(shard=True)) == Team(shard=True)
    assert not Team(shard=True).is_sharded, "one process holds everything"


def test_slots_that_do_not_go_round_are_refused():
    with (
        pytest.raises(ConfigError, match="expected a multiple of 2 processes; got 3"),
        join_team(TrainConfig(verify_slots=3), TWO),
    ):
        pass


def test_several_processes_on_the_one_device_of_a_mac_are_refused():
    with (
        pytest.raises(ConfigError, match="one device"),
        join_team(TrainConfig(), Device("mps", torch.float32, 1, world_size=2)),
    ):
        pass


def test_without_torchrun_the_command_is_named(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with (
        pytest.raises(ConfigError, match=r"not started by torchrun.*torchrun -m dozero train run\.toml"),
        join_team(TrainConfig(), TWO),
    ):
        pass


@pytest.mark.parametrize("message", ["[/g/gloo/pair.cc:1] Connection closed by peer [::1]:2. GLHF", "NCCL error"])
def test_a_lost_peer_is_told_in_one_line(message):
    with pytest.raises(PeerLost) as caught, noticing_lost_peers(Team(rank=1, size=4)):
        raise RuntimeError(message)
    line = str(caught.value)
    assert line.startswith("process 1 of 4: another process of this run ended or does not answer")
    assert "\n" not in line
    assert "GLHF" not in line


def test_mistakes_of_our_own_are_not_blamed_on_peers():
    with pytest.raises(RuntimeError, match="shapes"), noticing_lost_peers(Team(size=2)):
        raise RuntimeError("shapes cannot be multiplied")


@pytest.mark.usefixtures("lone_group")
@pytest.mark.parametrize("schedule", [Schedule(7), Schedule(900, 333, 0.1234567890123456789)])
def test_an_order_carries_where_the_run_stands_to_the_last_bit(schedule, monkeypatch):
    sent = []
    monkeypatch.setattr(dist, "broadcast", lambda tensor, src: sent.append(tensor.clone()))
    call = Call(Order.STEP, 345, schedule, window=351, loss_limit=3.0123456789012345)
    tell(Team(size=2), call)
    monkeypatch.setattr(dist, "broadcast", lambda tensor, src: tensor.copy_(sent[0]))
    assert hear(Team(rank=1, size=2)) == call


def test_a_team_is_sent_home_once_and_its_absence_is_no_error(monkeypatch):
    sent, team = [], Team(size=2)

    def broadcast(tensor, src):
        sent.append(tensor)
        raise RuntimeError("Connection closed by peer")

    monkeypatch.setattr(dist, "broadcast", broadcast)
    dismiss(team)
    dismiss(team)
    dismiss(None)
    assert len(sent) == 1


def test_what_is_announced_is_heard_by_those_who_wait():
    store = dist.HashStore()
    announce(Team(size=2, store=store), "seed = 1: ção")
    assert await_announcement(Team(rank=1, size=2, store=store)) == "seed = 1: ção"
    assert store.check([FIRST_WORD])
    announce(None, "nobody listens")


def test_alone_a_text_is_ones_own():
    assert share_text(Team(), "ação") == "ação"


def test_processes_that_begin_again_do_not_take_old_answers_for_news():
    """Both attempts meet in one store, as under torchrun --max-restarts; each gets a part of its own."""
    store, parts = dist.HashStore(), []
    for _ in range(2):
        team = [Team(rank=rank, size=3) for rank in range(3)]
        with ThreadPoolExecutor(3) as pool:
            met = list(pool.map(lambda one: team_module._meet(one, store), team))
        met[0].set("word", str(len(parts)))
        assert [part.get("word").decode() for part in met] == [str(len(parts))] * 3
        parts.append(met[1])
    assert [part.get("word").decode() for part in parts] == ["0", "1"]
