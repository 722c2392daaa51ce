"""What room.py promises: it tells before a run whether it fits, and which settings would make it fit."""

import pytest
import torch

from dozero.config import load_config
from dozero.device import pick_device
from dozero.hardware import available_memory_bytes, total_memory_bytes
from dozero.model.memory import training_memory
from dozero.testing import tiny_config
from dozero.train.room import Room, look_for_room, settings_that_fit

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
    assert Room(memory, 0, memory.peak_bytes, 1 << 40).is_enough
    assert not Room(memory, 0, memory.peak_bytes - 1, 1 << 40).is_enough


def peak_with(*overrides):
    return training_memory(tiny_config(*WIDE, *overrides), 50, 4).peak_bytes


@pytest.mark.parametrize("share", [1.0, 0.6, 0.4, 0.2, 0.1])
def test_settings_that_fit_do_fit_when_given(share):
    available = int(peak_with() * share)
    words = settings_that_fit(tiny_config(*WIDE), 50, 4, available)
    assert peak_with(*words) <= available
    assert (words == ()) == (share == 1.0)


def test_activations_are_computed_again_only_where_portions_do_not_help():
    one_row = peak_with("train.micro_batch_tokens=16")
    assert not any("checkpoint" in word for word in settings_that_fit(tiny_config(*WIDE), 50, 4, one_row))
    again = peak_with("train.micro_batch_tokens=16", "train.checkpoint_activations=true")
    if again < one_row:
        words = settings_that_fit(tiny_config(*WIDE), 50, 4, again)
        assert words == ("train.checkpoint_activations=true", "train.micro_batch_tokens=16")


def test_where_weights_alone_are_too_much_no_setting_helps():
    config = load_config()
    assert settings_that_fit(config, 50, torch.bfloat16.itemsize, 1000) == ()
