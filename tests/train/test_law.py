"""What law.py promises: a loss that falls with size, text and time, and a table that says how far to trust it."""

import math
import tomllib
from dataclasses import fields
from importlib import resources

import pytest

from dozero.config import load_config
from dozero.testing import tiny_dataset
from dozero.train.law import (
    MOST_EPOCHS,
    Law,
    count_size,
    find_law,
    foretell,
    is_elsewhere,
    list_laws,
    measure_hardness,
    useful_tokens,
)

LAWS = {law.kind: law for law in list_laws()}
SIZES, TOKENS = [1e4, 1e5, 1e6, 1e7], [1e4, 1e5, 1e6, 1e7, 1e9]

each_law = pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)


def test_every_kind_of_settings_has_its_law():
    assert set(LAWS) == {"words", "stories", "characters", "text"}
    found = {preset: find_law(load_config(preset=preset)).kind for preset in ("words", "stories", "text")}
    assert found == {"words": "words", "stories": "stories", "text": "text"}
    assert find_law(load_config(preset="text", overrides=["tokenizer.kind=char"])).kind == "characters"


def test_the_table_holds_a_value_under_every_key_and_no_other():
    tables = tomllib.loads(resources.files("dozero.train").joinpath("law.toml").read_text(encoding="utf-8"))
    shared = tables.pop("shared")
    for kind, table in tables.items():
        assert {"kind", *shared, *table} == {field.name for field in fields(Law)}, kind


@each_law
def test_what_it_was_fitted_on_and_how_far_off_it_was_is_told(law):
    assert law.fitted_on
    assert law.trials >= 5
    assert 0 < law.error < 0.03, "the promise of --minutes"
    assert 0 < law.error_elsewhere < 0.5
    assert law.least_flops < 1.1 * 1e12
    assert law.most_flops > 0.9 * 3e13, "ten minutes of two cores"


@each_law
def test_more_of_anything_is_never_worse(law):
    for size in SIZES:
        losses = [foretell(law, 1.0, size, tokens) for tokens in TOKENS]
        assert losses == sorted(losses, reverse=True)
    for tokens in TOKENS:
        losses = [foretell(law, 1.0, size, tokens) for size in SIZES]
        assert losses == sorted(losses, reverse=True)


@each_law
def test_a_loss_is_finite_and_above_the_floor(law):
    for size in SIZES:
        for tokens in (1.0, *TOKENS, 1e15):
            for unique in (1.0, 1e3, 1e6, math.inf):
                loss = foretell(law, 1.0, size, tokens, unique)
                assert law.floor < loss < math.inf


@each_law
def test_a_text_seen_again_is_worth_less_than_a_new_one_and_at_last_makes_it_worse(law):
    unique, costs = 1e6, []
    for epochs in (1.0, 1.5, 2.0, 4.0, 16.0, 64.0):
        tokens = epochs * unique
        costs.append(foretell(law, 1.0, 1e6, tokens, unique) / foretell(law, 1.0, 1e6, tokens) - 1)
    assert costs[0] == 0
    assert costs == sorted(costs)
    assert costs[1] > 0
    assert foretell(law, 1.0, 1e6, 64 * unique, unique) > foretell(law, 1.0, 1e6, 4 * unique, unique)


@each_law
@pytest.mark.parametrize("size", SIZES)
def test_text_is_of_use_until_the_loss_is_least(law, size):
    unique = 1e6
    useful = useful_tokens(law, size, unique)
    least = foretell(law, 1.0, size, useful, unique)
    assert useful >= unique, "a text is seen once at the least"
    for other in (0.5, 0.9, 1.1, 2.0, 5.0):
        if other * useful <= MOST_EPOCHS * unique:
            assert foretell(law, 1.0, size, other * useful, unique) >= least


@each_law
def test_a_harder_text_costs_in_proportion(law):
    assert foretell(law, 1.3, 1e6, 1e6) == pytest.approx(1.3 * foretell(law, 1.0, 1e6, 1e6))


@each_law
def test_it_says_where_it_was_not_fitted(law):
    assert not is_elsewhere(law, 1.0, law.least_flops)
    assert not is_elsewhere(law, 1.0, law.most_flops)
    assert is_elsewhere(law, 1.2, law.most_flops)
    assert is_elsewhere(law, 1.0, 100 * law.most_flops)
    assert is_elsewhere(law, 1.0, law.least_flops / 100)


def test_made_up_words_are_easier_than_those_of_a_language(tmp_path):
    dataset, _ = tiny_dataset(tmp_path / "dataset")
    assert 0 < measure_hardness(LAWS["words"], dataset) < 1


def test_a_tied_head_multiplies_as_much_as_another():
    settings = load_config(preset="stories").model
    untied = settings.model_copy(update={"tie_embeddings": False})
    assert count_size(settings, 2048) == count_size(untied, 2048)
