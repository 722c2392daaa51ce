"""The litgpt peer of benchmarks/training.py: its own `pretrain` on the shape of a model folder of ours, as it comes.

    python litgpt_pretrain.py MODEL_FOLDER --rows 8 --steps 12 [--at-once 8]

Rows of random tokens fill the whole context; as it comes, 4 are computed at once, and a step adds up as many of these as
it takes. Prints one JSON line: the tokens per second of each step after its warm-up.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import json
import sys
import tempfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from litgpt.args import EvalArgs, TrainArgs
from litgpt.config import Config
from litgpt.data import DataModule
from litgpt.pretrain import setup
from torch.utils.data import DataLoader

WARM = 3


@dataclass
class RandomRows(DataModule):
    """Rows of one token more than the context."""

    vocab_size: int = 0
    rows: int = 1
    T: int = 1
    count: int = 1

    def connect(self, tokenizer: object = None, batch_size: int = 1, max_seq_length: int = -1) -> None:
        """Nothing to do: the rows know their size."""

    def train_dataloader(self) -> DataLoader:
        """Return random rows."""
        noise = torch.Generator().manual_seed(0)
        return DataLoader(
            torch.randint(self.vocab_size, (self.count, self.T + 1), generator=noise), batch_size=self.rows
        )

    def val_dataloader(self) -> DataLoader:
        """Return a batch of them."""
        return DataLoader(torch.randint(self.vocab_size, (self.rows, self.T + 1)), batch_size=self.rows)


def main() -> None:
    """Train a few steps and print the pace."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--at-once", type=int, default=TrainArgs().micro_batch_size)
    args = parser.parse_args()
    sys.argv = [sys.argv[0], "peer"]  # at its end it reads the command line again, as its own
    ours = json.loads((args.model / "config.json").read_text())
    T = ours["max_position_embeddings"]
    at_once = min(args.at_once, args.rows)
    config = Config(
        name="peer",
        block_size=T,
        vocab_size=ours["vocab_size"],
        padded_vocab_size=ours["vocab_size"],
        n_layer=ours["num_hidden_layers"],
        n_head=ours["num_attention_heads"],
        n_query_groups=ours["num_key_value_heads"],
        n_embd=ours["hidden_size"],
        head_size=ours["head_dim"],
        intermediate_size=ours["intermediate_size"],
        rotary_percentage=1.0,
        parallel_residual=False,
        bias=False,
        norm_class_name="RMSNorm",
        norm_qk=True,
        mlp_class_name="LLaMAMLP",
    )
    with tempfile.TemporaryDirectory() as out, contextlib.redirect_stdout(io.StringIO()):
        setup(
            "peer",
            model_config=config,
            out_dir=Path(out),
            data=RandomRows(ours["vocab_size"], at_once, T, args.rows * args.steps),
            train=TrainArgs(
                global_batch_size=args.rows,
                micro_batch_size=at_once,
                max_tokens=args.rows * T * args.steps,
                max_seq_length=T,
                tie_embeddings=ours["tie_word_embeddings"],
                lr_warmup_steps=1,
                max_norm=1.0,
                save_interval=None,
            ),
            eval=EvalArgs(final_validation=False, initial_validation=False, max_iters=1, interval=10**9),
            logger_name="csv",
        )
        log = next(Path(out).rglob("metrics.csv"))
        ends = [float(row["time"]) for row in csv.DictReader(log.open()) if row.get("time")]  # told once a step
    seconds = [end - begin for begin, end in pairwise(ends)][WARM - 1 :]
    print(json.dumps({"tokens_per_s": [args.rows * T / s for s in seconds]}))


if __name__ == "__main__":
    main()
