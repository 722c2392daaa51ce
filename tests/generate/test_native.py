"""The compiled decoder against the model itself: logits for any shape, prompt and length, and the same tokens."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dozero.compiler import open_library
from dozero.generate import native
from dozero.generate.batch import Request
from dozero.generate.engine import admit, step
from dozero.generate.native import SOURCE, int8_rows, make_decoder
from dozero.model.transformer import Transformer
from dozero.settings import GenerateConfig, ModelConfig

V, CONTEXT, END = 37, 40, 0

pytestmark = pytest.mark.skipif(open_library(SOURCE) is None, reason="no C compiler")


def random_model(seed=0, **shape):
    config = ModelConfig(**{"d_model": 16, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "head_dim": 4, "d_ff": 20,
                            "max_seq_len": CONTEXT} | shape)  # fmt: skip
    model, noise = Transformer(config, V), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, generator=noise) * (p.shape[1] ** -0.5 if p.ndim == 2 else 1))
        model.lm_head.weight[END].mul_(0.1)
    return model.eval()


def full(model, ids):
    with torch.no_grad():
        return model(torch.tensor(ids))


shapes = st.fixed_dictionaries(
    {
        "d_model": st.integers(8, 70),
        "n_layers": st.integers(1, 3),
        "n_kv_heads": st.integers(1, 3),
        "head_dim": st.sampled_from((2, 6, 8, 16, 32)),
        "d_ff": st.integers(8, 70),
        "tie_embeddings": st.booleans(),
        "rope_theta": st.sampled_from((100.0, 10000.0)),
    }
)
families = st.sampled_from(({"qk_norm": True}, {"qk_norm": False}, {"qk_norm": False, "attention_bias": True}))
tokens = st.lists(st.integers(0, V - 1), min_size=1, max_size=CONTEXT - 1)


@settings(max_examples=60)
@given(shapes, families, st.integers(1, 3), st.integers(0, 99), tokens, st.data())
def test_logits_are_those_of_the_full_forward(shape, family, group, seed, ids, data):
    """Whatever the shape and however prompt and continuation are cut into passes."""
    model = random_model(seed, **shape, **family, n_heads=shape["n_kv_heads"] * group)
    decoder, expected = make_decoder(model), full(model, [ids])[0]
    cuts = sorted({1, len(ids), *data.draw(st.lists(st.integers(1, len(ids)), max_size=4))})
    cache, logits = decoder.prefill(torch.tensor([ids[: cuts[0]]]), CONTEXT)
    rows = [logits]
    for start, end in itertools.pairwise(cuts):
        rows.append(decoder.advance(torch.tensor([ids[start:end]]), cache)[0])
    torch.testing.assert_close(torch.cat(rows), expected, rtol=1e-4, atol=1e-4)


def test_a_prompt_of_many_portions_and_a_context_of_many_positions():
    model = random_model(max_seq_len=400, d_model=40)
    ids = torch.randint(0, V, (2, 300), generator=torch.Generator().manual_seed(1))
    cache, logits = make_decoder(model).prefill(ids, 400)
    torch.testing.assert_close(logits, full(model, ids.tolist())[:, -1], rtol=1e-4, atol=1e-4)
    assert cache.lengths == [300, 300]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_any_number_of_threads_gives_the_same_logits_to_the_bit(threads, monkeypatch):
    monkeypatch.setattr(native, "SMALL_BYTES", 0)
    model, ids = random_model(d_model=48, n_kv_heads=1), torch.arange(1, 20)[None] % V
    torch.set_num_threads(1)
    alone = make_decoder(model).prefill(ids, CONTEXT)[1]
    torch.set_num_threads(threads)
    assert torch.equal(make_decoder(model).prefill(ids, CONTEXT)[1], alone)


requests = st.tuples(
    tokens.map(tuple),
    st.sampled_from(
        (
            GenerateConfig(temperature=0),
            GenerateConfig(temperature=0, speculate=3),
            GenerateConfig(temperature=0.8, top_p=0.9, max_tokens=9),
            GenerateConfig(repetition_penalty=1.3, max_tokens=20),
        )
    ),
    st.integers(0, 99),
)


def run(model, several):
    batch = admit(model, [Request(*wish) for wish in several], END)
    while not all(row.finish for row in batch.rows):
        step(batch)
    return [(row.ids, row.finish) for row in batch.rows]


@pytest.mark.no_cover
@settings(max_examples=40)
@given(st.lists(requests, min_size=1, max_size=6), st.integers(0, 5))
def test_texts_are_those_of_the_model_alone_or_side_by_side(several, seed):
    """Prompts of any length share a cache, and end at different times."""
    model = random_model(seed)
    decoder = make_decoder(model)
    plain = [run(model, [wish])[0] for wish in several]
    assert run(decoder, several) == plain
    assert [run(decoder, [wish])[0] for wish in several] == plain


def test_a_row_that_is_left_out_and_guesses_that_fail_leave_the_others_as_they_were():
    model = random_model(3)
    decoder, ids = make_decoder(model), torch.tensor([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    cache, _ = decoder.prefill(ids, CONTEXT)
    kept = decoder.spread([cache], [(0, 2), (0, 0)])
    decoder.advance(torch.tensor([[1, 1], [2, 2]]), kept)
    decoder.forget(kept, 2)
    logits = decoder.advance(torch.tensor([[5], [6]]), kept)[:, 0]
    torch.testing.assert_close(logits, full(model, [[7, 8, 9, 5], [1, 2, 3, 6]])[:, -1], rtol=1e-4, atol=1e-4)
    twice = decoder.spread([kept], [(0, 0), (0, 0)])
    logits = decoder.advance(torch.tensor([[1], [2]]), twice)[:, 0]
    torch.testing.assert_close(logits, full(model, [[7, 8, 9, 5, 1], [7, 8, 9, 5, 2]])[:, -1], rtol=1e-4, atol=1e-4)


def test_weights_trained_in_bfloat16_are_kept_as_such_with_the_same_bits(monkeypatch):
    model, ids = random_model(d_model=40, head_dim=6, d_ff=34), torch.arange(1, 31)[None] % V
    rough = make_decoder(model)
    for p in model.parameters():
        p.data = p.data.bfloat16().float()
    halves = make_decoder(model)
    assert 2 * halves.weight_bytes == rough.weight_bytes
    monkeypatch.setattr(native, "are_halves", lambda weights: False)
    floats = make_decoder(model)
    assert floats.weight_bytes == rough.weight_bytes
    for cut in (1, 3, 29):
        for logits in zip(*(written_in_two(decoder, ids, cut) for decoder in (halves, floats)), strict=True):
            assert torch.equal(*logits)
    torch.testing.assert_close(
        written_in_two(halves, ids, 9)[1][0], full(model, ids.tolist())[0, 9:], rtol=1e-4, atol=1e-4
    )


def written_in_two(decoder, ids, cut):
    cache, first = decoder.prefill(ids[:, :cut], CONTEXT)
    return first, decoder.advance(ids[:, cut:], cache)


# --- int8 -------------------------------------------------------------------------------------------------------------


@given(st.lists(st.lists(st.floats(-100, 100), min_size=3, max_size=3), min_size=1, max_size=4))
def test_int8_rounds_each_weight_by_half_a_step_at_the_most(rows):
    weight = torch.tensor(rows)
    whole, scale = int8_rows(weight)
    assert whole.abs().max() <= 127
    assert bool(((whole * scale[:, None] - weight).abs() <= scale[:, None] * 0.5001 + 1e-6).all())


@pytest.mark.parametrize("shape", [{}, {"d_model": 96, "d_ff": 130}, {"qk_norm": False, "n_layers": 4}], ids=str)
def test_int8_gives_the_logits_of_rounded_weights_and_inputs_nearly(shape):
    model = random_model(5, **shape)
    ids = torch.randint(0, V, (3, 30), generator=torch.Generator().manual_seed(2))
    exact, decoder = full(model, ids.tolist()), make_decoder(model, "int8")
    cache, first = decoder.prefill(ids[:, :1], CONTEXT)
    logits = torch.cat((first[:, None], decoder.advance(ids[:, 1:], cache)), dim=1)
    error = (logits - exact).square().mean().sqrt() / exact.std()
    assert 1e-4 < error < 0.06


@pytest.mark.parametrize("precision", native.PRECISIONS)
def test_in_a_batch_or_token_by_token_the_bits_are_those_of_a_row_alone(precision):
    decoder = make_decoder(random_model(6, d_model=141, d_ff=200), precision)
    ids = torch.randint(0, V, (7, 13), generator=torch.Generator().manual_seed(0))
    together = decoder.prefill(ids, CONTEXT)[1]
    alone = torch.cat([decoder.prefill(row[None], CONTEXT)[1] for row in ids])
    cache, logits = decoder.prefill(ids[:, :1], CONTEXT)
    for t in range(1, 13):
        logits = decoder.advance(ids[:, t : t + 1], cache)[:, 0]
    one, first = decoder.prefill(
        ids[:1, :1], CONTEXT
    )  # one token at a time: where many go through tile registers, not by them
    for t in range(1, 13):
        first = decoder.advance(ids[:1, t : t + 1], one)[:, 0]
    assert torch.equal(together, alone)
    assert torch.equal(together, logits)
    assert torch.equal(together[:1], first)


def test_the_weights_that_a_token_reads_are_counted():
    model = random_model(d_model=32, d_ff=64, head_dim=8)
    C, W, F = 32, (4 + 2 + 2) * 8, 64
    values = 2 * (C * W + C * 32 + 3 * C * F) + C * V
    assert make_decoder(model).weight_bytes == 4 * values
    assert make_decoder(model, "int8").weight_bytes == values
