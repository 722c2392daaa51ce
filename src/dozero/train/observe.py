"""A closer look at single steps: what the gradient, the update and the activations of each layer are like.

Nothing is hooked into the model and nothing is drawn at random: a run that looks computes the bits of one that does
not. A layer is the embedding, the attention or the MLP of a block (each with the norm before it), or the head.
A look costs a fifth of a step or less: under 0.4% of training at one look in 50 steps (JOURNAL.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from dozero.dataset.batch import Batch
from dozero.model.transformer import Block, Transformer, causal_mask, project, rope_tables
from dozero.train.events import LayerFacts
from dozero.train.optim import Optimizer

LOOKED_TOKENS = 1024
"""Activations are looked at on the first rows of the batch, about so many tokens."""
DEAD_SHARE = 1e-3
"""A unit of the MLP is dead if it never gets to this share of the root mean square of them all."""
DIGITS = 6


def layers_tree(layers: Sequence[LayerFacts]) -> dict[str, dict[str, float]]:
    """Return the facts by name of layer, as a line of the metrics has them: without what does not apply."""
    trees = {layer.name: asdict(layer) for layer in layers}
    return {name: {k: v for k, v in tree.items() if k != "name" and v is not None} for name, tree in trees.items()}


@dataclass(frozen=True)
class Visit:
    """One layer on the way of a batch through the model: the stream after it, what it added, its inner units."""

    name: str
    stream: Float[Tensor, "B T C"]
    added: Float[Tensor, "B T C"]
    units: Float[Tensor, "B T F"] | None = None


def snapshot(optimizer: Optimizer) -> dict[str, Tensor]:
    """Return a copy of all weights, to be held against those after the update."""
    return {name: p.detach().clone() for name, p in optimizer.params.items()}


def observe_layers(
    model: Transformer, optimizer: Optimizer, before: Mapping[str, Tensor], batch: Batch, grad_norm: float
) -> tuple[LayerFacts, ...]:
    """Return the facts of each layer after an update whose gradients are still there, from the input on.

    `before` holds the weights before the update, `grad_norm` is that of the whole gradient before it was clipped.
    """
    clipped = min(1.0, optimizer.config.clip / (grad_norm + 1e-6))  # the factor of torch's clip_grad_norm_
    gradients = {n: p.grad for n, p in optimizer.params.items() if p.grad is not None}
    weights = {n: p.detach() for n, p in optimizer.params.items()}
    moves = {n: w - before[n] for n, w in weights.items()}
    grad_norms, weight_norms, move_norms = (norms_by_layer(tensors) for tensors in (gradients, weights, moves))
    stream = look_at_stream(model, batch)
    return tuple(
        LayerFacts(
            name,
            _rounded(grad_norms.get(name, 0.0) / clipped),
            _rounded(weight_norm),
            _rounded(move_norms[name] / weight_norm if weight_norm else 0.0),
            **stream.get(name, {}),
        )
        for name, weight_norm in weight_norms.items()
    )


def layer_of(parameter: str) -> str:
    """Return the layer that a parameter belongs to.

    >>> layer_of("model.layers.3.post_attention_layernorm.weight"), layer_of("lm_head.weight")
    ('layer 3 mlp', 'head')
    """
    words = parameter.split(".")
    if "embed_tokens" in words:
        return "embedding"
    if "layers" not in words:
        return "head"
    place = words.index("layers")
    part = "mlp" if words[place + 2] in ("mlp", "post_attention_layernorm") else "attention"
    return f"layer {words[place + 1]} {part}"


def norms_by_layer(tensors: Mapping[str, Tensor]) -> dict[str, float]:
    """Return the norm of all tensors of each layer together, in the order in which layers first appear."""
    squares: dict[str, float] = {}
    for name, t in tensors.items():
        layer = layer_of(name)
        squares[layer] = squares.get(layer, 0.0) + torch.linalg.vector_norm(t).item() ** 2
    return {layer: math.sqrt(total) for layer, total in squares.items()}


def look_at_stream(model: Transformer, batch: Batch) -> dict[str, dict[str, float]]:
    """Return by layer what the activations are like on the first rows of a batch."""
    rows = max(1, LOOKED_TOKENS // batch.ids.shape[1])
    facts: dict[str, dict[str, float]] = {}
    with torch.no_grad():
        for visit in walk(model, batch.ids[:rows], batch.segments[:rows]):
            stream = visit.stream.float()
            facts[visit.name] = {"stream_rms": _rms(stream), "stream_max": _rounded(stream.abs().max().item())}
            if visit.name != "embedding":
                facts[visit.name]["added_rms"] = _rms(visit.added.float())
            if visit.units is not None:
                facts[visit.name]["dead_units"] = dead_share(visit.units)
    return facts


def walk(model: Transformer, ids: Int[Tensor, "B T"], segments: Int[Tensor, "B T"] | None) -> Iterator[Visit]:
    """Take a batch through the model as `Transformer.forward` does, to the bit, stopping after each layer."""
    T, config = ids.shape[1], model.config
    x = model.model.embed_tokens(ids).to(model.dtype)  # B T C
    rope = rope_tables(0, T, config.head_dim, config.rope_theta, like=x)
    mask = causal_mask(T, T, segments, like=x)
    yield Visit("embedding", x, x)
    for i, block in enumerate(model.model.layers):
        assert isinstance(block, Block)
        added = block.self_attn(block.input_layernorm(x), rope, mask, None)
        x = x + added
        yield Visit(f"layer {i} attention", x, added)
        normed, mlp = block.post_attention_layernorm(x), block.mlp
        units = F.silu(project(normed, mlp.gate_proj)) * project(normed, mlp.up_proj)  # B T F
        added = project(units, mlp.down_proj)
        x = x + added
        yield Visit(f"layer {i} mlp", x, added, units)


def dead_share(units: Float[Tensor, "B T F"]) -> float:
    """Return the share of the units that stay below DEAD_SHARE of the root mean square of all, at every position.

    >>> dead_share(torch.tensor([[[1.0, 0.0, -2.0, 1e-9], [0.0, 0.0, 3.0, 0.0]]]))
    0.5
    """
    low = DEAD_SHARE * units.float().square().mean().sqrt()
    return _rounded((units.float().abs().amax(dim=(0, 1)) <= low).float().mean().item())


def _rms(x: Tensor) -> float:
    return _rounded(x.square().mean().sqrt().item())


def _rounded(value: float) -> float:
    """Return a figure without digits that mean nothing."""
    return float(f"{value:.{DIGITS}g}")
