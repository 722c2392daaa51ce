"""Whether a run fits the memory of this machine, told before it begins, and which settings would make it fit."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from dozero.dataset.batch import Batch
from dozero.device import Device
from dozero.hardware import available_memory_bytes, resident_memory_bytes, total_memory_bytes
from dozero.model.memory import TrainingMemory, training_memory
from dozero.settings import ModelConfig, RunConfig, TrainConfig
from dozero.train.learner import build_learner
from dozero.train.step import Schedule, train_step

SMALLEST = RunConfig(
    model=ModelConfig(d_model=16, n_layers=1, n_heads=2, n_kv_heads=1, head_dim=8, d_ff=32, max_seq_len=16),
    train=TrainConfig(batch_tokens=64),
)
SMALLEST_VOCAB = 16


@dataclass(frozen=True)
class Room:
    """What a run would hold, what this process holds without it, and what there is."""

    memory: TrainingMemory
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
    memory = training_memory(config, vocab_size, device.dtype.itemsize)
    if device.type == "cuda":
        available, total = torch.cuda.mem_get_info()
        return Room(memory, 0, available, total)
    idle = idle_bytes(device)
    return Room(memory, idle, available_memory_bytes(), total_memory_bytes())


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


def settings_that_fit(config: RunConfig, vocab_size: int, element_bytes: int, available_bytes: int) -> tuple[str, ...]:
    """Return the settings, as one types them, with which a run fits; none if smaller portions alone do not help.

    Portions are halved down to one row, first with all activations kept, because computing them again takes time.
    """
    train = config.train
    whole = train.micro_batch_tokens or train.batch_tokens
    for again in (train.checkpoint_activations, True):
        tokens = whole
        while tokens >= config.model.max_seq_len:
            change = {"checkpoint_activations": again, "micro_batch_tokens": tokens}
            tried = config.model_copy(update={"train": train.model_copy(update=change)})
            if training_memory(tried, vocab_size, element_bytes).peak_bytes <= available_bytes:
                return (
                    *(["train.checkpoint_activations=true"] if again != train.checkpoint_activations else []),
                    *([f"train.micro_batch_tokens={tokens}"] if tokens != whole else []),
                )
            tokens //= 2
    return ()
