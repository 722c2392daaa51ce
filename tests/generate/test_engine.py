"""Decoding with a cache, many rows at once, prompts of any length, guesses or none: the tokens of the plainest loop."""

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, chisquare

from dozero.generate import engine
from dozero.generate.batch import Request
from dozero.generate.engine import PlainForward, admit, decode, look_up
from dozero.generate.sample import choose, penalize
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


# --- several prompts ----------------------------------------------------------------------------------------------------


def run(model, requests):
    """The tokens of each request, and why it ended."""
    batch = admit(model, requests, END)
    while not all(row.finish for row in batch.rows):
        engine.step(batch)
    return [(row.ids, row.finish) for row in batch.rows]


class CountingForward(PlainForward):
    """Tells how many tokens went through the model in prompts, and how often it was asked for more."""

    prefilled = 0
    calls = 0

    def prefill(self, ids, positions):
        object.__setattr__(self, "prefilled", self.prefilled + ids.numel())
        return super().prefill(ids, positions)

    def advance(self, ids, cache):
        object.__setattr__(self, "calls", self.calls + 1)
        return super().advance(ids, cache)


settings_of_a_row = st.sampled_from(
    (
        GREEDY,
        GenerateConfig(temperature=1.3, max_tokens=5),
        GenerateConfig(top_p=0.8, repetition_penalty=1.4),
        GenerateConfig(presence_penalty=0.5, frequency_penalty=0.4, logit_bias=("3=1.5",)),
        GenerateConfig(temperature=0, frequency_penalty=1.0, speculate=4),
    )
)
wishes = st.tuples(prompts.map(tuple), settings_of_a_row, st.integers(0, 99))  # of which requests are made


@pytest.mark.no_cover
@settings(max_examples=25)
@given(st.lists(wishes, min_size=1, max_size=5), st.integers(0, 3))
def test_each_of_several_requests_gets_what_it_would_alone(several, seed):
    model, several = random_model(seed), [Request(*wish) for wish in several]
    assert run(model, several) == [run(model, [request])[0] for request in several]


def test_equal_prompts_run_once():
    forward = CountingForward(random_model())
    config = GenerateConfig(max_tokens=2)
    admit(forward, [Request((0, 1, 2, 3), config, seed) for seed in range(7)], END)
    assert forward.prefilled == 4


@settings(max_examples=25)
@given(wishes, st.integers(0, 3))
def test_a_row_is_that_of_the_plainest_loop_with_its_penalties(wish, seed):
    model, request, config = random_model(seed), Request(*wish), wish[1]
    ids, draws, written = list(request.prompt), random.Random(), []
    draws.setstate(admit(model, [request], END).rows[0].draws.getstate())
    prompt = torch.tensor([[i in request.prompt and i != END for i in range(V)]])
    while len(ids) < CONTEXT and len(written) < config.max_tokens:
        with torch.no_grad():
            logits = model(torch.tensor([ids]))[:, -1]
        counts = torch.tensor([[written.count(i) for i in range(V)]])
        noise = torch.tensor([[draws.random()]], dtype=torch.float64)
        written.append(int(choose(penalize(logits, config, prompt, counts), config, noise)))
        ids.append(written[-1])
        if written[-1] == END:
            break
    ((ours, finish),) = run(model, [request])
    assert ours == written
    assert finish == ("stop" if written[-1] == END else "length")


# --- guesses ------------------------------------------------------------------------------------------------------------


@pytest.mark.no_cover
@settings(max_examples=30)
@given(
    prompts,
    st.integers(0, 9),
    st.integers(1, 6),
    st.sampled_from((GREEDY, GenerateConfig(temperature=0.8), GenerateConfig(presence_penalty=1))),
)
def test_with_guesses_the_tokens_are_the_same(prompt, seed, most, config):
    model = random_model(seed)
    plain = run(model, [Request(tuple(prompt), config, seed)])
    guessing = run(model, [Request(tuple(prompt), config.model_copy(update={"speculate": most}), seed)])
    assert guessing == plain


def test_a_text_that_repeats_itself_needs_fewer_calls_of_the_model():
    table = torch.full((V, V), -99.0)
    for a, b in ((1, 2), (2, 3), (3, 1)):
        table[a, b] = 0.0
    calls = []
    for most in (0, 4):
        forward = CountingForward(bigram_model(table))
        ((ids, _),) = run(forward, [Request((1, 2, 3, 1), GenerateConfig(speculate=most, max_tokens=12))])
        assert ids == [2, 3, 1] * 4
        calls.append(forward.calls)
    assert calls[0] == 12  # the prompt, and one for each token but the last
    assert calls[1] <= 5


@given(st.lists(st.integers(0, 3), max_size=20), st.integers(0, 5))
def test_what_is_looked_up_followed_the_same_tokens_before(ids, most):
    guess = look_up(ids, most)
    assert len(guess) <= most
    if guess:
        starts = range(len(ids) - 2)
        assert any(ids[s : s + 2] == ids[-2:] and ids[s + 2 : s + 2 + len(guess)] == guess for s in starts)


# --- a form -------------------------------------------------------------------------------------------------------------


class EvenThenOne:
    """A form: even tokens, at least two of them, then a 1, then the end."""

    def __init__(self):
        self.seen = []

    def allowed(self):
        if self.seen[-1:] == [1]:
            return torch.arange(V) == END
        return (torch.arange(V) % 2 == 0) & (torch.arange(V) != END) | ((torch.arange(V) == 1) & (len(self.seen) >= 2))

    def accept(self, token):
        assert self.allowed()[token]
        self.seen.append(token)

    def close(self):
        return [] if self.seen[-1:] == [1] else [*[2] * (2 - len(self.seen)), 1]


@settings(max_examples=25)
@given(st.integers(0, 9), st.integers(1, 9), st.sampled_from((0.0, 1.0)))
def test_a_form_is_kept_and_closed_when_there_is_no_more_room(seed, room, temperature):
    config = GenerateConfig(max_tokens=room, temperature=temperature)
    free, formed = Request((0, 3), config, seed), Request((0, 3), config, seed, EvenThenOne())
    (alone, _), (ids, finish) = run(random_model(seed), [free, formed])
    assert alone == run(random_model(seed), [free])[0][0]
    assert [i for i in ids if i != END][-1] == 1
    assert all(i % 2 == 0 for i in ids[: ids.index(1)])
    assert finish == ("stop" if ids[-1] == END else "length")
