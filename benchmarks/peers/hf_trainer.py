"""The transformers peer of benchmarks/training.py: a model folder of ours trained by `Trainer` as it comes.

    python hf_trainer.py MODEL_FOLDER --rows 8 --steps 12 [--attention eager] [--onednn] [--compile] [--bf16 autocast|pure]

Rows of random tokens fill the whole context. Prints one JSON line: the tokens per second of each step after its warm-up.
Without options everything is Trainer's own default.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import torch
from torch.utils.data import Dataset
from transformers import AutoConfig, AutoModelForCausalLM, Trainer, TrainerCallback, TrainingArguments

WARM = 3


class RandomRows(Dataset):
    """Rows of T random tokens, each its own target."""

    def __init__(self, vocab_size: int, T: int, count: int) -> None:
        self.ids = torch.randint(vocab_size, (count, T), generator=torch.Generator().manual_seed(0))

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, i: int) -> dict[str, torch.Tensor]:
        return {"input_ids": self.ids[i], "labels": self.ids[i]}


class Clock(TrainerCallback):
    """Notes when each step ends."""

    def __init__(self) -> None:
        self.at: list[float] = []

    def on_step_end(self, *_: object, **__: object) -> None:
        """Note the time."""
        self.at.append(time.perf_counter())


def main() -> None:
    """Train a few steps and print the pace."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--attention", default=None)
    parser.add_argument("--onednn", action="store_true")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--bf16", choices=["autocast", "pure"], default=None)
    args = parser.parse_args()
    if args.onednn:
        torch.set_float32_matmul_precision("medium")
    config = AutoConfig.from_pretrained(args.model)
    chosen = {"attn_implementation": args.attention} if args.attention else {}
    dtype = torch.bfloat16 if args.bf16 == "pure" else torch.float32
    model = AutoModelForCausalLM.from_config(config, dtype=dtype, **chosen)
    T, clock = config.max_position_embeddings, Clock()
    with tempfile.TemporaryDirectory() as out:
        settings = TrainingArguments(
            output_dir=out,
            per_device_train_batch_size=args.rows,
            max_steps=args.steps,
            report_to="none",
            save_strategy="no",
            disable_tqdm=True,
            use_cpu=True,
            torch_compile=args.compile,
            bf16=args.bf16 == "autocast",
        )
        data = RandomRows(config.vocab_size, T, args.rows * args.steps)
        Trainer(model=model, args=settings, train_dataset=data, callbacks=[clock]).train()
    seconds = [b - a for a, b in zip(clock.at[WARM - 1 :], clock.at[WARM:], strict=False)]
    print(json.dumps({"tokens_per_s": [args.rows * T / s for s in seconds]}))


if __name__ == "__main__":
    main()
