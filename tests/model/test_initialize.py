"""What a model knows before training: nothing, and as a function of the seed alone."""

import math

import pytest
import torch
import torch.nn.functional as F

from dozero.model.initialize import initialize
from dozero.model.transformer import Transformer, rope_tables
from dozero.settings import ModelConfig

V = 50
SHAPE = ModelConfig(d_model=64, n_layers=2, n_heads=4, n_kv_heads=2, head_dim=16, d_ff=96)
TIED = SHAPE.model_copy(update={"tie_embeddings": True})
QWEN2 = SHAPE.model_copy(update={"qk_norm": False, "attention_bias": True})


def initialized(config=SHAPE, seed=0, filled_with=math.nan):
    """An initialised model, whose parameters held something else before."""
    model = Transformer(config, V)
    with torch.no_grad():
        for p in model.parameters():
            p.fill_(filled_with)
    initialize(model, torch.Generator().manual_seed(seed))
    return model


def random_ids():
    return torch.randint(V, (4, 32), generator=torch.Generator().manual_seed(9))


@pytest.mark.parametrize("config", [SHAPE, QWEN2])
def test_the_first_loss_is_that_of_a_uniform_guess(config):
    ids = random_ids()
    logits = initialized(config)(ids)
    assert F.cross_entropy(logits.flatten(0, 1), ids.flatten()).item() == pytest.approx(math.log(V), rel=1e-6)


@pytest.mark.parametrize("config", [SHAPE, QWEN2])
def test_every_block_starts_as_the_identity(config):
    model, inside = initialized(config), []
    for block in model.model.layers:
        block.register_forward_hook(lambda module, inputs, output: inside.append((inputs[0], output)))
    model(random_ids())
    assert len(inside) == config.n_layers
    assert all(torch.equal(before, after) for before, after in inside)


@pytest.mark.parametrize("n_kv_heads", [1, 2, 4])
@pytest.mark.parametrize("n_layers", [1, 2, 8])
def test_tied_attention_starts_by_adding_a_share_of_the_mean_of_what_it_looks_at(n_kv_heads, n_layers):
    """As many values as coordinates, or fewer: then the part of it that they hold; query heads that share values agree."""
    config = TIED.model_copy(update={"n_layers": n_layers, "n_kv_heads": n_kv_heads})
    model = initialized(config)
    x = torch.randn(3, 9, config.d_model, generator=torch.Generator().manual_seed(3))
    uniform = torch.full((9, 9), 0.0).masked_fill(torch.ones(9, 9, dtype=torch.bool).triu(1), -math.inf)
    for block in model.model.layers:
        attention = block.self_attn
        for norm in (attention.q_norm, attention.k_norm):
            norm.weight.data.zero_()  # all scores are equal: a position looks at all before it alike
        added = attention(x, rope_tables(0, 9, config.head_dim, 1e4, x), uniform, None)
        mean = x.cumsum(1) / torch.arange(1, 10)[:, None]
        held = attention.v_proj.weight.T @ attention.v_proj.weight  # onto what the values hold
        torch.testing.assert_close(added, min(1, 2 / n_layers) * mean @ held, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(held @ held, held, atol=1e-5, rtol=1e-4)
        assert round(held.trace().item()) == min(config.d_model, n_kv_heads * config.head_dim)
        assert not block.mlp.down_proj.weight.any()


@pytest.mark.parametrize("config", [SHAPE, QWEN2, TIED])
def test_every_parameter_follows_from_the_seed_and_nothing_else(config):
    a, b, c = initialized(config), initialized(config, filled_with=7.0), initialized(config, seed=1)
    for (name, p), q, r in zip(a.named_parameters(), b.parameters(), c.parameters(), strict=True):
        assert torch.equal(p, q), name
        is_random = name.endswith("embed_tokens.weight") or any(x in name for x in ("q_", "k_", "v_", "gate_", "up_"))
        is_random |= name.endswith("o_proj.weight") and config.tie_embeddings
        if is_random and p.ndim == 2:
            assert not torch.equal(p, r), name
        else:
            assert p.unique().numel() == 1, name


def test_projections_keep_the_scale_of_a_vector_and_embeddings_have_scale_one():
    for name, p in initialized().named_parameters():
        if name.endswith("embed_tokens.weight"):
            assert p.std().item() == pytest.approx(1.0, rel=0.05)
        elif p.ndim == 2 and p.any():
            x = F.normalize(torch.randn(200, p.shape[1], generator=torch.Generator().manual_seed(2)), dim=-1)
            x = x * p.shape[1] ** 0.5  # every row has mean square 1
            assert (x @ p.T).square().mean().sqrt().item() == pytest.approx(1.0, rel=0.05), name


def test_every_matrix_inside_the_blocks_learns_within_a_few_steps():
    """Zeros do not block one another: the head moves in the first step, outputs then, and what feeds them last."""
    model, ids = initialized(), random_ids()
    ever = dict.fromkeys((name for name, _ in model.named_parameters()), False)
    for _ in range(3):
        F.cross_entropy(model(ids)[:, :-1].flatten(0, 1), ids[:, 1:].flatten()).backward()
        for name, p in model.named_parameters():
            ever[name] |= bool(p.grad.any())
            p.data.sub_(p.grad, alpha=0.1)
            p.grad = None
    assert all(ever.values()), ever
