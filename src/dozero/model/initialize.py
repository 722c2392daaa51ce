"""What a model knows before it has seen anything: nothing, said well."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from dozero.model.transformer import Attention, Block, Transformer

COPIES = 2.0
"""What all attention together adds of the tokens before, where it begins by copying; measured at two blocks (JOURNAL.md)."""


def initialize(model: Transformer, generator: torch.Generator) -> None:
    """Fill the parameters in place, as a function of the generator's seed alone.

    Projections into the residual stream start at zero, so that each block starts as the identity; the others
    have the spread that keeps the scale of a vector (1/sqrt of its size). A separate output head starts at zero,
    so that the first loss is that of a uniform guess, ln V; a tied one must be the embedding, which then is small
    enough that no token starts by predicting itself.

    Where head and embedding are one, to say a token again is to pass its vector on: there attention starts by doing that,
    and has only to learn where to look. From zero it must learn both at once, and each is of no use before the other
    (measured on stories, JOURNAL.md).
    """
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight", "bias")) or name == "lm_head.weight":
                p.zero_()
            elif name.endswith("embed_tokens.weight"):
                std = p.shape[1] ** -1.0 if model.config.tie_embeddings else 1.0
                p.copy_(torch.randn(p.shape, generator=generator) * std)
            elif p.ndim == 2:
                p.copy_(torch.randn(p.shape, generator=generator) * p.shape[1] ** -0.5)
            else:
                p.fill_(1.0)
        if model.config.tie_embeddings:
            for block in model.model.layers:
                assert isinstance(block, Block)
                begin_by_copying(block.self_attn, min(1.0, COPIES / model.config.n_layers), generator)


def begin_by_copying(attention: Attention, share: float, generator: torch.Generator) -> None:
    """Set values and output so that a position adds `share` times the mean of the vectors that it looks at.

    The rows of the value projection are perpendicular and of length 1, the output projection is its transpose; with
    fewer values than coordinates it adds their projection onto that many of all directions.
    """
    v, o = attention.v_proj.weight, attention.o_proj.weight
    v.copy_(perpendicular(v.shape[0], v.shape[1], generator))
    heads_of_each = attention.H // attention.K  # query heads that share a value head add up
    by_head = v.view(attention.K, attention.D, -1).repeat_interleave(heads_of_each, dim=0).flatten(0, 1)
    o.copy_(by_head.T * (share / heads_of_each))


def perpendicular(rows: int, cols: int, generator: torch.Generator) -> Float[Tensor, "rows cols"]:
    """Return a random matrix with perpendicular rows of length 1, or columns where those are fewer."""
    tall = torch.linalg.qr(torch.randn(max(rows, cols), min(rows, cols), generator=generator)).Q
    return tall if rows >= cols else tall.T
