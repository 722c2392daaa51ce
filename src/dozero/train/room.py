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
from dozero.train.attention import choose_attention, list_candidates, use_attention
from dozero.train.learner import build_learner
from dozero.train.step import Schedule, train_step

SMALL = RunConfig(
    model=ModelConfig(d_model=64, n_layers=1, n_heads=2, n_kv_heads=2, head_dim=32, d_ff=192, max_seq_len=64),
    train=TrainConfig(batch_tokens=256),
)
SMALL_VOCAB = 64


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
        idle, available, total = 0, available_memory_bytes(), total_memory_bytes()
    kernel = kernel_of(config, vocab_size, device, available)
    if device.type != "cuda":
        idle = idle_bytes(config, device, kernel)
    memory = training_memory(config, vocab_size, device.dtype.itemsize, kernel)
    return Room(memory, kernel, idle, available, total)


def kernel_of(config: RunConfig, vocab_size: int, device: Device, available_bytes: int) -> str:
    """Return how a run would compute attention: "written", "library", or where bits are verified perhaps "auto", by length.

    Where both would have to be tried and there is no room for "written", it is that: it could be what the trial finds.
    """
    if config.train.verify_slots:
        return config.train.attention
    candidates = list_candidates(config, device)
    if config.train.attention == "auto" and "written" in candidates[:-1]:
        memory = training_memory(config, vocab_size, device.dtype.itemsize, "written")
        if memory.peak_bytes > available_bytes:
            return "written"
    return choose_attention(config, device)[0]


def idle_bytes(config: RunConfig, device: Device, kernel: str) -> int:
    """Return what this process holds once torch has made a small step; 0 where the system does not tell.

    The step is made because torch loads much of itself at first use: 20 MB to multiply bfloat16, which it does not for
    the smallest matrices, and 75 MB to compute activations again (measured with torch 2.13).
    """
    changes = {"checkpoint_activations": config.train.checkpoint_activations}
    small = SMALL.model_copy(update={"train": SMALL.train.model_copy(update=changes)})
    model, optimizer = build_learner(small, SMALL_VOCAB, device)
    use_attention(model, kernel)
    ids = torch.arange(small.train.batch_tokens).reshape(small.rows_per_step, -1) % SMALL_VOCAB
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
                portions = {"micro_batch_tokens": tokens} if tokens != whole else {}
                return tuple(f"train.{key}={str(value).lower()}" for key, value in {**changes, **portions}.items())
            tokens //= 2
    return ()


def _ways_to_keep_less(config: RunConfig, kernel: str) -> list[dict[str, Any]]:
    """Return settings of training with which the forward pass keeps less, from those that cost least time."""
    ways: list[dict[str, Any]] = [{}, *([{"attention": "library"}] if kernel == "written" else [])]
    if config.train.checkpoint_activations:
        return ways
    return [*ways, *({**way, "checkpoint_activations": True} for way in ways)]
