"""Whether a run fits the memory of this machine, told before it begins, and which settings would make it fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from dozero.dataset.batch import Batch
from dozero.device import Device
from dozero.hardware import available_memory_bytes, resident_memory_bytes, total_memory_bytes
from dozero.model.memory import TrainingMemory, training_memory
from dozero.settings import ModelConfig, RunConfig, TrainConfig
from dozero.train.attention import SURELY_LIBRARY, SURELY_WRITTEN, choose_attention
from dozero.train.learner import build_learner
from dozero.train.step import Schedule, train_step
from dozero.train.team import lone_team

SMALLEST = RunConfig(
    model=ModelConfig(d_model=16, n_layers=1, n_heads=2, n_kv_heads=1, head_dim=8, d_ff=32, max_seq_len=16),
    train=TrainConfig(batch_tokens=64),
)
SMALLEST_VOCAB = 16


@dataclass(frozen=True)
class Room:
    """What a run would hold, what this process holds without it, and what there is."""

    memory: TrainingMemory
    kernel: str
    """How attention is computed, which decides what is kept of it."""
    idle_bytes: int
    """What torch and the data hold before training; 0 where the system does not tell."""
    available_bytes: int
    """What can still be allocated beside it."""
    total_bytes: int

    @property
    def needed_bytes(self) -> int:
        """What the process would hold at its highest."""
        return self.idle_bytes + self.memory.peak_bytes

    @property
    def is_enough(self) -> bool:
        """Whether the run fits."""
        return self.memory.peak_bytes <= self.available_bytes


def look_for_room(config: RunConfig, vocab_size: int, device: Device) -> Room:
    """Return what a run would hold beside what this process holds now, and what its device has left."""
    if device.type == "cuda":
        idle, (available, total) = 0, torch.cuda.mem_get_info()
    else:
        idle, available, total = idle_bytes(device), available_memory_bytes(), total_memory_bytes()
    kernel = kernel_of(config, vocab_size, device, available)
    memory = training_memory(config, vocab_size, device.dtype.itemsize, kernel)
    return Room(memory, kernel, idle, available, total)


def kernel_of(config: RunConfig, vocab_size: int, device: Device, available_bytes: int) -> str:
    """Return how a run would compute attention: "written", "library", or as a team does "auto", by length.

    Where both would have to be tried and there is no room for "written", it is that: it could be what the trial finds.
    """
    if device.world_size > 1 or lone_team(config.train):
        return "auto"
    is_tried = config.train.attention == "auto" and SURELY_WRITTEN < config.model.max_seq_len <= SURELY_LIBRARY
    if device.type == "cpu" and is_tried:
        memory = training_memory(config, vocab_size, device.dtype.itemsize, "written")
        if memory.peak_bytes > available_bytes:
            return "written"
    return choose_attention(config, device)[0]


def idle_bytes(device: Device) -> int:
    """Return what this process holds once torch has made a step of next to nothing; 0 where the system does not tell.

    The step is made because torch loads much of itself at first use.
    """
    model, optimizer = build_learner(SMALLEST, SMALLEST_VOCAB, device)
    shape = (SMALLEST.rows_per_step, SMALLEST.model.max_seq_len)
    ids = torch.arange(SMALLEST.train.batch_tokens).reshape(shape) % SMALLEST_VOCAB
    batch = Batch(ids, ids, torch.zeros_like(ids), ids.numel()).to(model.lm_head.weight.device)
    train_step(model, optimizer, batch, 0, Schedule(1))
    return resident_memory_bytes() or 0


def settings_that_fit(
    config: RunConfig, vocab_size: int, element_bytes: int, available_bytes: int, kernel: str
) -> tuple[str, ...]:
    """Return the settings, as one types them, with which a run fits; none if these do not help.

    Portions are halved down to one row: first as the run is, then with the library's attention, which keeps less than
    that written out, then with activations computed again, because that takes time.
    """
    train = config.train
    whole = train.micro_batch_tokens or train.batch_tokens
    for changes in _ways_to_keep_less(config, kernel):
        tokens = whole
        while tokens >= config.model.max_seq_len:
            tried = config.model_copy(
                update={"train": train.model_copy(update={**changes, "micro_batch_tokens": tokens})}
            )
            of_attention = changes.get("attention", kernel)
            if training_memory(tried, vocab_size, element_bytes, of_attention).peak_bytes <= available_bytes:
                changes |= {"micro_batch_tokens": tokens} if tokens != whole else {}
                return tuple(f"train.{key}={str(value).lower()}" for key, value in changes.items())
            tokens //= 2
    return ()


def _ways_to_keep_less(config: RunConfig, kernel: str) -> list[dict[str, Any]]:
    """Return settings of training with which the forward pass keeps less, from those that cost least time."""
    ways: list[dict[str, Any]] = [{}, *([{"attention": "library"}] if kernel == "written" else [])]
    if config.train.checkpoint_activations:
        return ways
    return [*ways, *({**way, "checkpoint_activations": True} for way in ways)]
