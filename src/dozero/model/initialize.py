"""What a model knows before it has seen anything: nothing, said well."""

from __future__ import annotations

import torch

from dozero.model.transformer import Transformer


def initialize(model: Transformer, generator: torch.Generator) -> None:
    """Fill the parameters in place, as a function of the generator's seed alone.

    Projections into the residual stream start at zero, so that each block starts as the identity; the others
    have the spread that keeps the scale of a vector (1/sqrt of its size). A separate output head starts at zero,
    so that the first loss is that of a uniform guess, ln V; a tied one must be the embedding, which then is small
    enough that no token starts by predicting itself.
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
