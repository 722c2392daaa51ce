"""The plain recipe that benchmarks/speedrun.py compares with: a small GPT on characters, as tutorials train it.

4 layers, 4 heads, 128 wide, GELU, LayerNorm, learned positions, tied head, no biases, no dropout; blocks of 64
characters from random places, 12 a step, AdamW 1e-3 to 1e-4 by cosine after 100 steps of warm-up, betas 0.9/0.99,
weight decay 0.1 on matrices, gradients clipped at 1; 2,000 steps. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

LAYERS, HEADS, WIDTH, BLOCK, BATCH = 4, 4, 128, 64, 12
STEPS, WARMUP, LR, LEAST_LR, DECAY = 2000, 100, 1e-3, 1e-4, 0.1


class PlainBlock(nn.Module):
    """Attention and MLP, each behind a LayerNorm and added to its input."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH, bias=False), nn.LayerNorm(WIDTH, bias=False)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.out = nn.Linear(WIDTH, WIDTH, bias=False)
        self.up = nn.Linear(WIDTH, 4 * WIDTH, bias=False)
        self.down = nn.Linear(4 * WIDTH, WIDTH, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the input and what this block adds, B T C."""
        B, T, C = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(B, T, 3 * HEADS, C // HEADS).transpose(1, 2).chunk(3, dim=1)
        x = x + self.out(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(B, T, C))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class PlainGPT(nn.Module):
    """Embeddings, blocks, norm, head."""

    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        self.token, self.position = nn.Embedding(vocab_size, WIDTH), nn.Embedding(BLOCK, WIDTH)
        self.blocks = nn.Sequential(*(PlainBlock() for _ in range(LAYERS)))
        self.norm = nn.LayerNorm(WIDTH, bias=False)
        for name, p in self.named_parameters():
            if p.ndim == 2:
                into_stream = name.endswith(("out.weight", "down.weight"))
                nn.init.normal_(p, std=0.02 / math.sqrt(2 * LAYERS) if into_stream else 0.02)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Return logits, B T V."""
        x = self.token(ids) + self.position(torch.arange(ids.shape[1]))
        return self.norm(self.blocks(x)) @ self.token.weight.T


def learning_rate(step: int, steps: int) -> float:
    """Return the rate of a step: up for WARMUP steps, then down along a cosine."""
    if step < WARMUP:
        return LR * (step + 1) / (WARMUP + 1)
    share = (step - WARMUP) / max(1, steps - WARMUP)
    return LEAST_LR + 0.5 * (1 + math.cos(math.pi * share)) * (LR - LEAST_LR)


@torch.no_grad()
def nats_per_character(model: PlainGPT, ids: torch.Tensor) -> float:
    """Return the mean surprise on all of a text, cut into blocks of BLOCK characters that are read apart."""
    total, count = 0.0, (len(ids) - 1) // BLOCK
    whole = (ids[: count * BLOCK].view(count, BLOCK), ids[1 : count * BLOCK + 1].view(count, BLOCK))
    rest = (ids[None, count * BLOCK : -1], ids[None, count * BLOCK + 1 :])
    for inputs, targets in (*zip(*(part.split(256) for part in whole), strict=True), rest):
        total += F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten(), reduction="sum").item()
    return total / (len(ids) - 1)


def main() -> None:
    """Train on a file of text, score another."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("train", type=Path)
    parser.add_argument("heldout", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=STEPS)
    args = parser.parse_args()
    began = time.perf_counter()
    torch.manual_seed(args.seed)
    texts = [path.read_text(encoding="utf-8") for path in (args.train, args.heldout)]
    id_of = {c: i for i, c in enumerate(sorted(set("".join(texts))))}
    data, heldout = (torch.tensor([id_of[c] for c in text]) for text in texts)
    model = PlainGPT(len(id_of))
    groups = [
        {"params": [p for p in model.parameters() if p.ndim >= 2], "weight_decay": DECAY},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=LR, betas=(0.9, 0.99))
    for step in range(args.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, args.steps)
        starts = torch.randint(len(data) - BLOCK, (BATCH,))
        blocks = torch.stack([data[at : at + BLOCK + 1] for at in starts])
        loss = F.cross_entropy(model(blocks[:, :-1]).flatten(0, 1), blocks[:, 1:].flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    seconds = time.perf_counter() - began
    print(json.dumps({"nats_per_character": nats_per_character(model, heldout), "train_seconds": seconds}))


if __name__ == "__main__":
    main()
