"""The laws of the arithmetic, against torch's own functions, complex numbers and the model itself by another way.

That the logits are those of transformers on the same weights is in test_hf.py.
"""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from dozero.model.transformer import (
    Normalize,
    Transformer,
    attend,
    causal_mask,
    project,
    rope_tables,
    rotate,
)
from dozero.settings import ModelConfig

V = 11


@st.composite
def shapes(draw, max_seq_len=32):
    """Model shapes of every architecture, with head_dim apart from d_model / n_heads."""
    kv_heads, qk_norm = draw(st.integers(1, 2)), draw(st.booleans())
    return ModelConfig(
        d_model=draw(st.sampled_from((8, 12))),
        n_layers=draw(st.integers(1, 2)),
        n_heads=kv_heads * draw(st.integers(1, 3)),
        n_kv_heads=kv_heads,
        head_dim=draw(st.sampled_from((4, 6))),
        d_ff=draw(st.integers(8, 10)),
        max_seq_len=max_seq_len,
        qk_norm=qk_norm,
        attention_bias=not qk_norm and draw(st.booleans()),
        tie_embeddings=draw(st.booleans()),
        rope_theta=draw(st.sampled_from((10.0, 1e4, 1e6))),
        norm_eps=draw(st.sampled_from((1e-6, 1e-2))),
    )


def random_model(config, dtype=torch.float32, seed=0):
    """A model with no parameter at a special value: norms are not 1, biases and output projections not 0."""
    model = Transformer(config, V, dtype)
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            noise = torch.randn(p.shape, generator=random)
            p.copy_(noise * p.shape[1] ** -0.5 if p.ndim == 2 else 1 + 0.5 * noise)
    return model


def random_ids(rows, length, seed=0):
    return torch.randint(V, (rows, length), generator=torch.Generator().manual_seed(seed))


def pack(lengths):
    """One row of documents of these lengths: the number of each position's document."""
    return torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))[None]


lengths_of_documents = st.lists(st.integers(1, 4), min_size=1, max_size=4)

# --- what a position may know -----------------------------------------------------------------------------------------


@settings(max_examples=20)
@given(shapes(), lengths_of_documents)
def test_logits_depend_on_earlier_tokens_of_their_own_document_and_on_no_other(config, lengths):
    """Asked of the gradient: d logits[t] / d embedding[s] is zero unless s <= t, in the same segment."""
    model, segments = random_model(config), pack(lengths)
    T = segments.shape[1]
    seen = []
    model.model.embed_tokens.register_forward_hook(lambda module, inputs, output: seen.append(output))
    logits = model(random_ids(1, T), segments)
    direction = torch.randn(V, generator=torch.Generator().manual_seed(1))
    gradients = [torch.autograd.grad(logits[0, t] @ direction, seen[0], retain_graph=True)[0][0] for t in range(T)]
    depends = torch.stack([gradient.abs().sum(dim=-1) > 0 for gradient in gradients])
    same_document = segments[0][:, None] == segments[0][None, :]
    assert torch.equal(depends, torch.ones(T, T).tril().bool() & same_document)


@given(shapes(), lengths_of_documents)
def test_packed_documents_have_the_logits_of_each_alone(config, lengths):
    model, segments = random_model(config), pack(lengths)
    ids = random_ids(1, segments.shape[1])
    with torch.no_grad():
        together = model(ids, segments)
        alone = [model(part) for part in ids.split(lengths, dim=1)]
    torch.testing.assert_close(together, torch.cat(alone, dim=1), rtol=1e-4, atol=1e-5)


def test_padding_stays_finite_and_changes_nothing():
    config = ModelConfig(d_model=8, n_layers=2, n_heads=2, n_kv_heads=1, head_dim=4, d_ff=8)
    model, ids = random_model(config), random_ids(1, 7)
    segments = torch.tensor([[0, 0, 0, -1, -1, -1, -1]])
    with torch.no_grad():
        padded, alone = model(ids, segments), model(ids[:, :3])
    assert padded.isfinite().all()
    torch.testing.assert_close(padded[:, :3], alone, rtol=1e-4, atol=1e-5)


def test_mask_by_hand():
    like = torch.zeros(())
    no = -math.inf
    assert causal_mask(1, 9, None, like) is None
    assert causal_mask(2, 3, None, like).tolist() == [[0, 0, no], [0, 0, 0]]
    assert causal_mask(3, 3, torch.tensor([[5, 5, 6]]), like).tolist() == [[[[0, no, no], [0, 0, no], [no, no, 0]]]]


# --- the cache --------------------------------------------------------------------------------------------------------


@given(shapes(), st.integers(1, 2), st.lists(st.integers(1, 5), min_size=1, max_size=5))
def test_decoding_with_a_cache_is_the_full_forward_however_it_is_cut(config, rows, chunks):
    model, ids = random_model(config), random_ids(rows, sum(chunks))
    with torch.no_grad():
        whole = model(ids)
        cache = model.new_cache(rows, sum(chunks))
        parts = [model(chunk, cache=cache) for chunk in ids.split(chunks, dim=1)]
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=1e-4, atol=1e-5)


def test_decoding_with_a_cache_past_the_length_where_attention_changes_its_form():
    config = ModelConfig(d_model=8, n_layers=2, n_heads=2, n_kv_heads=1, head_dim=4, d_ff=8, max_seq_len=300)
    model, ids = random_model(config), random_ids(2, 262)
    with torch.no_grad():
        whole, cache = model(ids), model.new_cache(2, 262)
        parts = [model(chunk, cache=cache) for chunk in ids.split([250, 5, 1, 1, 4, 1], dim=1)]
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=1e-4, atol=1e-4)


def test_a_full_cache_says_so():
    model = random_model(ModelConfig(d_model=8, n_layers=1, n_heads=1, n_kv_heads=1, head_dim=4, d_ff=8))
    cache = model.new_cache(1, 3)
    with pytest.raises(AssertionError, match="holds 3 positions, 4 are needed"):
        model(random_ids(1, 4), cache=cache)


# --- its parts, against other people's ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("T", "S", "packed"),
    [
        *((1, 1, False), (6, 6, False), (6, 6, True), (1, 40, False), (3, 40, False), (256, 256, True)),
        *((257, 257, False), (257, 257, True), (2, 300, False), (1, 300, False)),
    ],
)
def test_both_forms_of_attention_are_one_function(T, S, packed):
    random = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, 3, length, 8, generator=random) for length in (T, S, S))
    segments = (torch.arange(T) // 5).expand(2, -1) if packed else None
    mask = causal_mask(T, S, segments, like=q)
    scores = q @ k.mT / math.sqrt(8) + (0 if mask is None else mask)
    written_out = scores.softmax(dim=-1) @ v
    for way in ("auto", "written", "library"):
        torch.testing.assert_close(attend(q, k, v, mask, way), written_out, rtol=1e-5, atol=1e-5)
    kernel = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    torch.testing.assert_close(attend(q, k, v, mask), kernel, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape_of_weight", [(5,), (3, 5)])
def test_gradient_of_the_norm_by_finite_differences(shape_of_weight):
    random = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 5, generator=random, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(shape_of_weight, generator=random, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, w: Normalize.apply(x, w, 1e-3), (x, weight))


@settings(max_examples=20)
@given(st.integers(1, 40), st.sampled_from((1e-6, 1e-2)), st.sampled_from((1e-3, 1.0, 1e3)))
def test_norm_and_its_gradients_are_those_of_torch(size, eps, scale):
    random = torch.Generator().manual_seed(size)
    x = (scale * torch.randn(3, 4, size, generator=random)).requires_grad_()
    weight = torch.randn(4, size, generator=random).requires_grad_()
    dy = torch.randn(3, 4, size, generator=random)
    ours = Normalize.apply(x, weight, eps)
    theirs = F.rms_norm(x, (size,), None, eps) * weight
    torch.testing.assert_close(ours, theirs)
    for mine, other in zip(
        torch.autograd.grad(ours, (x, weight), dy), torch.autograd.grad(theirs, (x, weight), dy), strict=True
    ):
        # A vector of one coordinate is normalised to a sign, and its gradient to a difference of nearly equal numbers.
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5 / min(scale, 1.0))


@given(st.integers(0, 500), st.integers(1, 5), st.sampled_from((2, 4, 10)), st.sampled_from((10.0, 1e4, 1e6)))
def test_rotation_is_a_product_with_complex_numbers(start, length, head_dim, theta):
    x = torch.randn(2, length, 3, head_dim, generator=torch.Generator().manual_seed(start))
    real, imaginary = x.double().chunk(2, dim=-1)
    position = torch.arange(start, start + length, dtype=torch.float64)
    speed = torch.tensor([theta ** (-2 * i / head_dim) for i in range(head_dim // 2)], dtype=torch.float64)
    angle = torch.outer(position, speed)[:, None]
    turned = torch.complex(real, imaginary) * torch.polar(torch.ones_like(angle), angle)
    expected = torch.cat((turned.real, turned.imag), dim=-1).float()
    # Angles of hundreds of radians in fp32 are exact to about 1e-5 of a turn.
    torch.testing.assert_close(
        rotate(x, rope_tables(start, length, head_dim, theta, like=x)), expected, rtol=0, atol=3e-4
    )


def test_only_the_distance_of_two_positions_matters_to_their_product():
    q, k = torch.randn(2, 1, 1, 1, 8, generator=torch.Generator().manual_seed(0))

    def product(at_q, at_k):
        turned = [rotate(x, rope_tables(at, 1, 8, 100.0, like=x)) for x, at in ((q, at_q), (k, at_k))]
        return float((turned[0] * turned[1]).sum())

    assert product(9, 4) == pytest.approx(product(105, 100), abs=1e-4)
    assert product(9, 4) != pytest.approx(product(9, 5), abs=1e-2)


@pytest.mark.parametrize("bias", [False, True])
def test_layers_side_by_side_give_what_they_give_alone(bias):
    layers = [torch.nn.Linear(6, size, bias=bias) for size in (2, 3, 4)]
    x = torch.randn(2, 5, 6)
    torch.testing.assert_close(project(x, *layers), torch.cat([layer(x) for layer in layers], dim=-1))


# --- the whole --------------------------------------------------------------------------------------------------------


@settings(max_examples=20)
@given(shapes())
def test_shared_heads_are_full_heads_with_repeated_weights(config):
    """GQA is MHA in which the key and value heads of a group are copies of one another."""
    shared, groups = random_model(config), config.n_heads // config.n_kv_heads
    full = Transformer(config.model_copy(update={"n_kv_heads": config.n_heads}), V)
    weights = shared.state_dict()
    for name, w in weights.items():
        if any(part in name for part in ("k_proj", "v_proj")):
            heads = w.view(config.n_kv_heads, config.head_dim, -1).repeat_interleave(groups, dim=0)
            weights[name] = heads.reshape(-1) if w.ndim == 1 else heads.flatten(0, 1)
    full.load_state_dict(weights)
    ids = random_ids(2, 6)
    with torch.no_grad():
        torch.testing.assert_close(full(ids), shared(ids), rtol=1e-4, atol=1e-5)


@settings(max_examples=20)
@given(shapes())
def test_bfloat16_is_close_to_float32(config):
    """bf16 keeps 8 bits, 0.4% a rounding; some ten roundings in a row stay within a few percent of the logits' size."""
    exact, rounded, ids = random_model(config), random_model(config, torch.bfloat16), random_ids(2, 8)
    with torch.no_grad():
        a, b = exact(ids), rounded(ids)
    assert b.dtype == torch.bfloat16
    assert all(p.dtype == torch.float32 for p in rounded.parameters())
    assert (a - b.float()).norm() < 0.05 * a.norm()


def test_gradients_in_bfloat16_point_where_those_in_float32_do():
    config = ModelConfig(d_model=16, n_layers=2, n_heads=4, n_kv_heads=2, head_dim=8, d_ff=32)
    ids, flat = random_ids(4, 16), []
    for dtype in (torch.float32, torch.bfloat16):
        model = random_model(config, dtype)
        F.cross_entropy(model(ids)[:, :-1].float().flatten(0, 1), ids[:, 1:].flatten()).backward()
        assert all(p.grad.dtype == torch.float32 for p in model.parameters())
        flat.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    assert F.cosine_similarity(*flat, dim=0) > 0.99


def test_a_tied_head_is_the_embedding():
    config = ModelConfig(d_model=8, n_layers=1, n_heads=1, n_kv_heads=1, head_dim=4, d_ff=8, tie_embeddings=True)
    model = random_model(config)
    assert model.lm_head.weight is model.model.embed_tokens.weight
    names = [name for name, _ in model.named_parameters()]
    assert "model.embed_tokens.weight" in names
    assert "lm_head.weight" not in names
