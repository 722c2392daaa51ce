"""The plain recipe that benchmarks/hello.py compares with: torch's own encoder layers and Adam, nothing tuned.

Two TransformerEncoder layers (width 32, 4 heads, the default feed-forward of 2048), learned positions, Adam 5e-4,
batches of 32, every 16-character window of the training text, two epochs. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

BLOCK, WIDTH, HEADS, LAYERS, BATCH, EPOCHS, LR = 16, 32, 4, 2, 32, 2, 5e-4


class PlainModel(nn.Module):
    """Embedding, learned positions, encoder layers under a causal mask, head."""

    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        self.token = nn.Embedding(vocab_size, WIDTH)
        self.position = nn.Embedding(BLOCK, WIDTH)
        layer = nn.TransformerEncoderLayer(WIDTH, HEADS, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, LAYERS)
        self.head = nn.Linear(WIDTH, vocab_size)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(BLOCK))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Return logits, B T V."""
        T = ids.shape[1]
        x = self.token(ids) + self.position(torch.arange(T))
        return self.head(self.encoder(x, mask=self.mask[:T, :T], is_causal=True))


def nats_per_word(model: PlainModel, words: list[str], id_of: dict[str, int]) -> float:
    """Return the mean negative log-probability of a held-out word and its end, from a fresh start."""
    model.eval()
    total = 0.0
    with torch.no_grad():
        for start in range(0, len(words), 500):
            lines = ["\n" + word + "\n" for word in words[start : start + 500]]
            ids = torch.zeros(len(lines), BLOCK, dtype=torch.long)
            targets = torch.full((len(lines), BLOCK), -100)
            for i, line in enumerate(lines):
                ids[i, : len(line) - 1] = torch.tensor([id_of[c] for c in line[:-1]])
                targets[i, : len(line) - 1] = torch.tensor([id_of[c] for c in line[1:]])
            total += F.cross_entropy(model(ids).flatten(0, 1), targets.flatten(), reduction="sum").item()
    return total / len(words)


def main() -> None:
    """Train on a file of words, score another."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("train", type=Path)
    parser.add_argument("heldout", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=0, help="stop early (smoke runs)")
    args = parser.parse_args()
    began = time.perf_counter()
    torch.manual_seed(args.seed)
    words = args.train.read_text(encoding="utf-8").split()
    heldout = args.heldout.read_text(encoding="utf-8").split()
    random.Random(args.seed).shuffle(words)
    text = "\n" + "\n".join(words) + "\n"
    id_of = {c: i for i, c in enumerate(sorted(set(text)))}
    data = torch.tensor([id_of[c] for c in text])
    windows = data.unfold(0, BLOCK + 1, 1)
    model = PlainModel(len(id_of))
    optimizer = torch.optim.Adam(model.parameters(), lr=LR)
    step = 0
    for _ in range(EPOCHS):
        for chosen in torch.randperm(len(windows)).split(BATCH):
            batch = windows[chosen]
            loss = F.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            if args.steps and step >= args.steps:
                break
    seconds = time.perf_counter() - began
    result = {"nats_per_word": nats_per_word(model, heldout, id_of), "steps": step, "train_seconds": seconds}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
