"""Decoding with a cache, many rows at once, gives what the plainest loop over one row would."""

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, chisquare

from dozero.generate.engine import decode
from dozero.model.transformer import Transformer
from dozero.settings import GenerateConfig, ModelConfig

END, V, CONTEXT = 0, 10, 16
GREEDY = GenerateConfig(temperature=0)


def random_model(seed=0):
    config = ModelConfig(d_model=16, n_layers=2, n_heads=4, n_kv_heads=2, head_dim=4, d_ff=16, max_seq_len=CONTEXT)
    model, noise = Transformer(config, V), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, generator=noise) * (p.shape[1] ** -0.5 if p.ndim == 2 else 1))
        model.lm_head.weight[END].mul_(0.1)  # not to end at once
    return model


def bigram_model(table):
    """A model whose logits are the row of the table for the last token: its blocks add nothing."""
    table = torch.as_tensor(table, dtype=torch.float32)
    size = len(table)
    model = Transformer(
        ModelConfig(d_model=size, n_layers=1, n_heads=1, n_kv_heads=1, head_dim=2, d_ff=8, max_seq_len=CONTEXT), size
    )
    with torch.no_grad():
        for p in model.parameters():
            p.fill_(1.0 if p.ndim == 1 else 0.0)
        model.model.embed_tokens.weight.copy_(torch.eye(size))
        model.lm_head.weight.copy_(table.T * size**-0.5)
    return model


def tokens(model, prompt, config, seeds):
    """The tokens of each row."""
    return [list(row) for row in zip(*(step.ids for step in decode(model, prompt, config, seeds, END)), strict=True)]


prompts = st.lists(st.integers(0, V - 1), min_size=1, max_size=CONTEXT - 1)

# --- against the plainest loop ------------------------------------------------------------------------------------------


@settings(max_examples=20)
@given(prompts, st.integers(0, 5), st.sampled_from((GREEDY, GenerateConfig(), GenerateConfig(top_p=0.8, top_k=5))))
def test_tokens_and_logits_are_those_of_the_loop_without_a_cache(prompt, seed, config):
    model = random_model(seed)
    steps = list(decode(model, prompt, config, [seed], END))
    ids = list(prompt)
    for step in steps:
        with torch.no_grad():
            logits = model(torch.tensor([ids]))[:, -1]
        torch.testing.assert_close(step.logits, logits, rtol=1e-4, atol=1e-5)
        if config == GREEDY:
            assert step.ids == [int(logits.argmax())]
        ids += step.ids
    assert ids[-1] == END or len(ids) == CONTEXT


@settings(max_examples=25)
@given(st.integers(1, CONTEXT - 1), st.integers(1, 40))
def test_a_row_that_does_not_end_goes_on_to_max_tokens_or_the_end_of_the_context(length, max_tokens):
    model = bigram_model(torch.eye(V) * 50)  # every token repeats itself
    (row,) = tokens(model, [3] * length, GenerateConfig(max_tokens=max_tokens), [0])
    assert row == [3] * min(max_tokens, CONTEXT - length)


@settings(max_examples=10)
@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=5))
def test_a_row_is_the_same_alone_as_beside_others(seeds):
    model, config = random_model(), GenerateConfig(temperature=1.5)
    together = tokens(model, [END, 4], config, seeds)
    for row, seed in zip(together, seeds, strict=True):
        (alone,) = tokens(model, [END, 4], config, [seed])
        assert row == alone + [END] * (len(row) - len(alone))


def test_a_row_that_has_ended_goes_on_yielding_the_end_until_all_have():
    never, goes = -99.0, 0.0
    table = torch.full((8, 8), never)
    for a, b in ((0, 1), (0, 2), (1, 0), (2, 3), (3, 4), (4, 0)):  # from the start either 1 or 2 3 4
        table[a, b] = goes
    rows = tokens(bigram_model(table), [END], GenerateConfig(), range(20))
    assert sorted(set(map(tuple, rows))) == [(1, 0, 0, 0), (2, 3, 4, 0)]
    short = next(seed for seed, row in enumerate(rows) if row[0] == 1)
    assert tokens(bigram_model(table), [END], GenerateConfig(), [short]) == [[1, 0]]


# --- chance -------------------------------------------------------------------------------------------------------------


def test_neighbouring_seeds_and_following_tokens_are_unrelated():
    """Over 2,000 neighbouring seeds a uniform model gives every token alike, whatever came before."""
    table = torch.zeros(V, V)
    table[:, END] = -99.0
    rows = tokens(bigram_model(table), [END], GenerateConfig(max_tokens=3), range(2000))
    counts = torch.tensor(rows).T
    for position in counts:
        assert chisquare(position.bincount(minlength=V)[1:]).pvalue > 0.001
    pairs = torch.zeros(V, V).index_put((counts[0], counts[1]), torch.ones(2000), accumulate=True)
    assert chi2_contingency(pairs[1:, 1:]).pvalue > 0.001
    neighbours = torch.zeros(V, V).index_put((counts[0, :-1], counts[0, 1:]), torch.ones(1999), accumulate=True)
    assert chi2_contingency(neighbours[1:, 1:]).pvalue > 0.001


@pytest.mark.parametrize(("number", "chosen"), [(0.0, 0), (1 - 2**-53, V - 1)])
def test_the_smallest_and_the_largest_random_number_choose_the_first_and_the_last_token(number, chosen, monkeypatch):
    """random() gives 1 - 2**-53 at the most, which in fp32 would be 1 and past the last token."""
    monkeypatch.setattr(random.Random, "random", lambda self: number)
    model = bigram_model(torch.zeros(V, V))
    assert tokens(model, [END], GenerateConfig(max_tokens=1), [0]) == [[chosen]]
