"""What room.py promises: it tells before a run whether it fits, and which settings would make it fit."""

from dataclasses import replace

import pytest
import torch

from dozero.config import load_config
from dozero.device import Device, pick_device
from dozero.hardware import available_memory_bytes, total_memory_bytes
from dozero.model.memory import training_memory
from dozero.testing import tiny_config
from dozero.train.attention import choose_attention
from dozero.train.room import Room, kernel_of, look_for_room, settings_that_fit

AGAIN = ("train.checkpoint_activations=true",)
LONG = ("model.d_model=64", "model.n_layers=6", "model.max_seq_len=512", "train.batch_tokens=4096")
WIDE = ("model.d_model=64", "model.n_layers=6", "train.batch_tokens=4096", "train.observe_every=0")


def test_a_tiny_run_has_room_and_needs_what_torch_holds_and_what_the_model_costs():
    room = look_for_room(tiny_config(), 13, pick_device("cpu", "float32", 1))
    assert room.is_enough
    assert room.memory == training_memory(tiny_config(), 13, 4)
    assert room.needed_bytes == room.idle_bytes + room.memory.peak_bytes
    assert 0 < room.available_bytes <= room.total_bytes == total_memory_bytes()
    assert room.needed_bytes < available_memory_bytes()


def test_what_does_not_fit_is_noticed():
    memory = training_memory(tiny_config(), 13, 4)
    assert Room(memory, "written", 0, memory.peak_bytes, 1 << 40).is_enough
    assert not Room(memory, "written", 0, memory.peak_bytes - 1, 1 << 40).is_enough


def peak_with(*overrides):
    return training_memory(tiny_config(*WIDE, *overrides), 50, 4).peak_bytes


@pytest.mark.parametrize("share", [1.0, 0.6, 0.4, 0.2, 0.1])
def test_settings_that_fit_do_fit_when_given(share):
    available = int(peak_with() * share)
    words = settings_that_fit(tiny_config(*WIDE), 50, 4, available, "auto")
    assert peak_with(*words) <= available
    assert (words == ()) == (share == 1.0)


def test_activations_are_computed_again_only_where_portions_do_not_help():
    one_row = peak_with("train.micro_batch_tokens=16")
    assert not any("checkpoint" in word for word in settings_that_fit(tiny_config(*WIDE), 50, 4, one_row, "auto"))
    one_row, again = (peak_with(*LONG, "train.micro_batch_tokens=512", *more) for more in ((), AGAIN))
    assert again < one_row
    words = settings_that_fit(tiny_config(*WIDE, *LONG), 50, 4, again, "library")
    assert words == (*AGAIN, "train.micro_batch_tokens=512")


def test_attention_of_the_library_is_advised_where_what_it_does_not_keep_is_enough():
    config = tiny_config(*LONG)
    one_row = training_memory(tiny_config(*LONG, "train.micro_batch_tokens=512"), 50, 4, "library").peak_bytes
    words = settings_that_fit(config, 50, 4, one_row, "written")
    assert words == ("train.attention=library", "train.micro_batch_tokens=512")


def test_the_kernel_is_the_one_training_would_use(tmp_path, monkeypatch):
    monkeypatch.setenv("DOZERO_CACHE", str(tmp_path))
    alone, plenty = Device("cpu", torch.float32, 1), 1 << 40
    for name in ("written", "library"):
        assert kernel_of(tiny_config(f"train.attention={name}"), 13, alone, 0) == name
    config = tiny_config(*LONG)
    assert kernel_of(config, 13, alone, plenty) == choose_attention(config, alone)[0]
    assert kernel_of(config, 13, replace(alone, world_size=2), plenty) == choose_attention(config, alone)[0]
    assert kernel_of(tiny_config(*LONG, "train.verify_slots=2"), 13, alone, plenty) == "auto"


def test_where_attention_written_out_has_no_room_it_is_not_tried(tmp_path, monkeypatch):
    monkeypatch.setenv("DOZERO_CACHE", str(tmp_path))
    assert kernel_of(tiny_config(*LONG), 13, Device("cpu", torch.float32, 1), 1000) == "written"
    assert not list(tmp_path.iterdir())


def test_where_weights_alone_are_too_much_no_setting_helps():
    config = load_config()
    assert settings_that_fit(config, 50, torch.bfloat16.itemsize, 1000, "written") == ()
