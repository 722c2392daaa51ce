"""The shapes that a plan chooses from: a width and a number of blocks say all."""

from __future__ import annotations

from dataclasses import dataclass

from dozero.settings import ModelConfig

HEAD_DIM = 32
FF_RATIO, FF_MULTIPLE = 2.75, 16  # three matrices of 2.75 C cost about what two of the usual 4 C do


@dataclass(frozen=True, order=True)
class Shape:
    """C and L of a transformer."""

    width: int
    layers: int


SHAPES = tuple(
    Shape(*each)
    for each in (
        *((64, 2), (96, 2), (128, 2), (160, 2), (192, 3), (192, 4), (256, 4)),
        *((320, 5), (384, 6), (512, 8), (640, 10), (768, 12)),
    )
)
"""Shapes from small to large. Depth grows slower than width at first, as short runs want it (JOURNAL.md)."""


def with_shape(model: ModelConfig, shape: Shape) -> ModelConfig:
    """Return the settings of a model of this shape, the rest unchanged.

    >>> with_shape(ModelConfig(), Shape(192, 3)).d_ff
    528
    """
    heads = shape.width // HEAD_DIM
    d_ff = round(FF_RATIO * shape.width / FF_MULTIPLE) * FF_MULTIPLE
    return model.model_copy(
        update={
            "d_model": shape.width,
            "n_layers": shape.layers,
            "d_ff": d_ff,
            "n_heads": heads,
            "n_kv_heads": heads,
            "head_dim": HEAD_DIM,
        }
    )
