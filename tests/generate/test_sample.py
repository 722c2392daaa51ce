"""The rules of sampling: each against its definition by brute force, together against transformers' own."""

import math

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import chisquare
from transformers import (
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from dozero.generate.sample import (
    choose,
    cut_by,
    penalize,
    remembers,
    restrict,
    with_bias,
    with_count_penalties,
    with_min_p,
    with_repetition_penalty,
    with_temperature,
    with_top_k,
    with_top_p,
)
from dozero.settings import GenerateConfig

JUST_BELOW_ONE = 1 - 2**-53  # the largest random.random()
EVEN_DRAWS = 10_000


@st.composite
def logits_of_rows(draw, most_rows=3, with_ties=False):
    """Rows of logits as models give them; ties are rare there, and common when drawn from a few values."""
    B, V = draw(st.integers(1, most_rows)), draw(st.integers(1, 9))
    value = st.integers(-3, 3) if with_ties else st.integers(-500, 500).map(lambda n: n / 64)
    row = st.lists(value, min_size=V, max_size=V, unique=not with_ties)
    return torch.tensor(draw(st.lists(row, min_size=B, max_size=B)), dtype=torch.float32)


def kept(logits):
    return [{i for i, x in enumerate(row) if x > -math.inf} for row in logits.tolist()]


def noise_of(*values):
    return torch.tensor(values, dtype=torch.float64)[:, None]


# --- each rule --------------------------------------------------------------------------------------------------------


@given(logits_of_rows(), st.floats(1e-6, 1e-3))
def test_towards_zero_temperature_becomes_argmax(logits, temperature):
    first, *others = logits.topk(min(2, logits.shape[1])).values.T
    assume(not others or (first - others[0]).min() > 40 * temperature)
    probabilities = with_temperature(logits, temperature).softmax(dim=-1)
    assert torch.allclose(probabilities.max(dim=-1).values, torch.ones(len(logits)))
    expected = logits.argmax(dim=-1)
    assert torch.equal(probabilities.argmax(dim=-1), expected)
    for config in (GenerateConfig(temperature=temperature), GenerateConfig(temperature=0)):
        assert torch.equal(choose(logits, config, noise_of(*[0.5] * len(logits))), expected)


@given(logits_of_rows())
def test_towards_infinite_temperature_becomes_uniform_and_one_changes_nothing(logits):
    uniform = torch.full_like(logits, 1 / logits.shape[1])
    assert torch.allclose(with_temperature(logits, 1e6).softmax(dim=-1), uniform, atol=1e-4)
    assert torch.equal(with_temperature(logits, 1.0), logits)


@given(logits_of_rows(with_ties=True), st.integers(1, 10))
def test_top_k_keeps_k_tokens_and_whatever_ties_with_the_last(logits, k):
    for row, support in zip(logits.tolist(), kept(with_top_k(logits, k)), strict=True):
        border = sorted(row, reverse=True)[min(k, len(row)) - 1]
        assert support == {i for i, x in enumerate(row) if x >= border}
        assert len(support) >= min(k, len(row))


@given(logits_of_rows(), st.floats(0.01, 0.99))
def test_top_p_keeps_the_smallest_set_that_reaches_p(logits, p):
    for row, support in zip(logits, kept(with_top_p(logits, p)), strict=True):
        probabilities = row.double().softmax(dim=-1)
        likeliest_first = probabilities.argsort(descending=True).tolist()
        reached = [probabilities[likeliest_first[:n]].sum().item() for n in range(1, len(row) + 1)]
        assume(min(abs(r - p) for r in reached) > 1e-5)
        smallest = next((n for n, r in enumerate(reached, start=1) if r >= p), len(row))
        assert support == set(likeliest_first[:smallest])


def test_the_likeliest_token_stays_though_p_rounds_to_zero():
    assert kept(with_top_p(torch.tensor([[0.0, 2.0, 1.0]]), 1e-300)) == [{1}]


@given(logits_of_rows(), st.floats(0.01, 1.0))
def test_min_p_keeps_what_is_that_likely_next_to_the_likeliest(logits, p):
    for row, support in zip(logits, kept(with_min_p(logits, p)), strict=True):
        ratios = (row.double() - row.double().max()).exp()
        assume((ratios[ratios < 1] - p).abs().min() > 1e-5 if (ratios < 1).any() else True)
        assert support == {i for i, r in enumerate(ratios.tolist()) if r >= p}


@given(logits_of_rows(), st.integers(0, 9), st.floats(0.01, 1.0), st.floats(0.0, 1.0), st.floats(0.1, 10.0))
def test_rules_leave_something_and_keep_the_proportions_of_what_they_leave(logits, k, p, min_p, temperature):
    restricted = restrict(logits, GenerateConfig(temperature=temperature, top_k=k, top_p=p, min_p=min_p))
    assert all(kept(restricted))
    assert all(i in support for i, support in zip(logits.argmax(dim=-1).tolist(), kept(restricted), strict=True))
    left = restricted > -math.inf
    assert torch.equal(restricted[left], (logits / temperature)[left])


@given(logits_of_rows())
def test_rules_at_their_neutral_values_do_nothing(logits):
    assert torch.equal(restrict(logits, GenerateConfig()), logits)


# --- all of them, against transformers ----------------------------------------------------------------------------------


@given(
    st.integers(0, 1000),
    st.sampled_from((0.3, 0.7, 1.0, 1.5)),
    st.integers(0, 60),
    st.floats(0.05, 1.0),
    st.floats(0.0, 0.9),
)
def test_composed_rules_cut_what_those_of_transformers_cut(seed, temperature, k, p, min_p):
    logits = 3 * torch.randn(4, 50, generator=torch.Generator().manual_seed(seed))
    warpers = [TemperatureLogitsWarper(temperature)]
    warpers += [TopKLogitsWarper(k)] if k else []
    warpers += [TopPLogitsWarper(p)] if p < 1 else []
    warpers += [MinPLogitsWarper(min_p)] if min_p else []
    theirs = logits
    for warper in warpers:
        theirs = warper(torch.zeros(4, 1, dtype=torch.long), theirs)
    ours = restrict(logits, GenerateConfig(temperature=temperature, top_k=k, top_p=p, min_p=min_p))
    torch.testing.assert_close(ours, theirs)


# --- what was said before -----------------------------------------------------------------------------------------------


@given(logits_of_rows(), st.floats(0.1, 10.0), st.data())
def test_the_repetition_penalty_is_that_of_transformers(logits, penalty, data):
    V = logits.shape[1]
    said = torch.tensor([data.draw(st.lists(st.integers(0, V - 1), min_size=4, max_size=4)) for _ in logits])
    seen = torch.zeros(logits.shape, dtype=torch.bool).scatter(1, said, True)
    theirs = RepetitionPenaltyLogitsProcessor(penalty)(said, logits.clone())
    torch.testing.assert_close(with_repetition_penalty(logits, seen, penalty), theirs)


@given(logits_of_rows(), st.floats(-2, 2), st.floats(-2, 2), st.data())
def test_presence_counts_once_and_frequency_each_time(logits, presence, frequency, data):
    V = logits.shape[1]
    counts = torch.tensor([data.draw(st.lists(st.integers(0, 5), min_size=V, max_size=V)) for _ in logits])
    ours = with_count_penalties(logits, counts, presence, frequency)
    for row, times, after in zip(logits.tolist(), counts.tolist(), ours.tolist(), strict=True):
        expected = [x - (presence if n else 0) - frequency * n for x, n in zip(row, times, strict=True)]
        assert after == pytest.approx(expected, abs=1e-4)


def test_a_bias_is_added_to_its_token_alone_and_minus_100_rules_it_out():
    logits = torch.zeros(2, 5)
    ours = with_bias(logits, {1: -100.0, 3: 2.5, 99: 1.0})
    assert ours.tolist() == [[0, -100, 0, 2.5, 0]] * 2
    assert ours.double().softmax(dim=-1)[0, 1] < 1e-40


@given(logits_of_rows())
def test_penalties_at_their_neutral_values_do_nothing(logits):
    counts = torch.ones(logits.shape, dtype=torch.long)
    assert not remembers(GenerateConfig())
    assert torch.equal(penalize(logits, GenerateConfig(), counts > 0, counts), logits)


def test_penalties_apply_in_order_bias_repetition_counts():
    config = GenerateConfig(logit_bias=("0=1",), repetition_penalty=2.0, presence_penalty=0.25, frequency_penalty=0.5)
    counts = torch.tensor([[2, 0, 0]])
    ours = penalize(torch.tensor([[1.0, -1.0, 3.0]]), config, torch.tensor([[False, True, False]]), counts)
    assert ours.tolist() == [[(1 + 1) / 2 - 0.25 - 2 * 0.5, -1 * 2, 3.0]]


@given(logits_of_rows(most_rows=1), st.integers(0, 5), st.floats(0.05, 1.0), st.floats(0.0, 1.0))
def test_what_is_cut_is_what_the_rules_leave_without_chance_each_by_one_rule(logits, k, p, min_p):
    config = GenerateConfig(top_k=k, top_p=p, min_p=min_p)
    cuts = cut_by(logits[0], config)
    assert set(cuts) == set(range(logits.shape[1])) - kept(restrict(logits, config))[0]
    alone = GenerateConfig(top_k=k)
    assert {i for i, rule in cuts.items() if rule == "top_k"} == set(cut_by(logits[0], alone))


# --- the draw -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "config",
    [GenerateConfig(), GenerateConfig(temperature=0.5), GenerateConfig(top_k=3), GenerateConfig(top_p=0.8, min_p=0.05)],
    ids=str,
)
def test_draws_have_the_frequencies_of_the_probabilities(config):
    logits = torch.tensor([[2.0, -1.0, 0.5, 1.5, 0.0, -3.0]])
    noise = torch.rand(EVEN_DRAWS, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    counts = choose(logits.expand(EVEN_DRAWS, -1), config, noise).bincount(minlength=6)
    expected = restrict(logits.double(), config).softmax(dim=-1)[0] * EVEN_DRAWS
    possible = expected > 0
    assert counts[~possible].sum() == 0
    assert chisquare(counts[possible].numpy(), expected[possible].numpy()).pvalue > 0.001


noises = st.one_of(st.floats(0, JUST_BELOW_ONE), st.sampled_from((0.0, 5e-324, 2**-53, JUST_BELOW_ONE)))


@given(logits_of_rows(most_rows=1), noises, st.integers(0, 4), st.floats(0.05, 1.0), st.floats(0.0, 1.0))
def test_a_cut_or_impossible_token_is_never_drawn(logits, noise, k, p, min_p):
    """Neither at the edges of the noise, nor where a probability is zero from the start."""
    logits[0, ::3] = -math.inf if logits.shape[1] > 1 else 0.0
    config = GenerateConfig(top_k=k, top_p=p, min_p=min_p)
    chosen = choose(logits, config, noise_of(noise)).item()
    assert chosen in kept(restrict(logits.double(), config))[0]


@pytest.mark.parametrize(("noise", "chosen"), [(0.0, 1), (0.249, 1), (0.251, 2), (0.749, 2), (0.751, 4), (0.999, 4)])
def test_the_draw_by_hand(noise, chosen):
    """Probabilities 0, 1/4, 1/2, 0, 1/4, 0: each token has its own stretch of the noise."""
    logits = torch.tensor([[0, 1, 2, 0, 1, 0]], dtype=torch.float32).log()
    assert choose(logits, GenerateConfig(), noise_of(noise)).item() == chosen


@given(logits_of_rows(), st.data())
def test_a_row_is_drawn_as_it_would_be_alone(logits, data):
    noise = noise_of(*data.draw(st.lists(noises, min_size=len(logits), max_size=len(logits))))
    config = GenerateConfig(temperature=0.8, top_p=0.9)
    together = choose(logits, config, noise)
    alone = [choose(logits[i : i + 1], config, noise[i : i + 1]) for i in range(len(logits))]
    assert torch.equal(together, torch.cat(alone))


@given(logits_of_rows())
def test_without_noise_the_likeliest_is_taken(logits):
    assert torch.equal(choose(logits, GenerateConfig(), None), logits.argmax(dim=-1))
