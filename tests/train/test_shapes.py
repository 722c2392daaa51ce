"""What shapes.py promises: shapes that settings accept, from small to large."""

import itertools

import pytest

from dozero.config import build_config
from dozero.model.cost import model_cost
from dozero.settings import ModelConfig
from dozero.train.shapes import HEAD_DIM, SHAPES, with_shape


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_is_accepted_and_leaves_the_rest_alone(shape):
    before = ModelConfig(max_seq_len=32, tie_embeddings=True)
    model = with_shape(before, shape)
    assert build_config({"model": model.model_dump()}).model == model
    assert (model.d_model, model.n_layers) == (shape.width, shape.layers)
    assert model.n_heads * HEAD_DIM == model.n_kv_heads * HEAD_DIM == model.d_model
    assert 2.5 < model.d_ff / model.d_model < 3
    assert (model.max_seq_len, model.tie_embeddings) == (32, True)


def test_each_shape_costs_more_than_the_one_before():
    costs = [model_cost(with_shape(ModelConfig(), shape), 64).training_flops_per_token for shape in SHAPES]
    assert all(a < b for a, b in itertools.pairwise(costs))
