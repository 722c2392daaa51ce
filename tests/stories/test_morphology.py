"""Forms of words, against lists written by hand."""

import pytest

from dozero.stories.morphology import (
    adjective_en,
    adjective_pt,
    noun_en,
    noun_pt,
    plural_en,
    plural_pt,
    verb_en,
    verb_pt,
)

PLURALS_PT = {
    "mão/mãos": "mãos", "pão/pães": "pães", "limão/limões": "limões", "papel": "papéis", "anel": "anéis", "farol": "faróis",
    "jornal": "jornais", "flor": "flores", "luz": "luzes", "jardim": "jardins", "mês": "meses", "ônibus": "ônibus", "rua": "ruas",
}  # fmt: skip
VERBS_PT = {
    "cantar": ("cantando", "cantou", "cantava", "canta", "cantaram"),
    "correr": ("correndo", "correu", "corria", "corre", "correram"),
    "ler gibis": ("lendo gibis", "leu gibis", "lia gibis", "lê gibis", "leram gibis"),
    "fazer pães": ("fazendo pães", "fez pães", "fazia pães", "faz pães", "fizeram pães"),
    "passear": ("passeando", "passeou", "passeava", "passeia", "passearam"),
}
VERBS_EN = {
    "paint": ("paints", "painting", "painted"), "knit": ("knits", "knitting", "knitted"), "bake": ("bakes", "baking", "baked"),
    "carry": ("carries", "carrying", "carried"), "swim/swam": ("swims", "swimming", "swam"), "row": ("rows", "rowing", "rowed"),
    "play": ("plays", "playing", "played"), "listen": ("listens", "listening", "listened"),
}  # fmt: skip


@pytest.mark.parametrize("entry", PLURALS_PT)
def test_portuguese_plurals(entry):
    assert noun_pt(entry)["p"] == PLURALS_PT[entry]


@pytest.mark.parametrize("entry", VERBS_PT)
def test_portuguese_verbs(entry):
    forms = verb_pt(entry)
    assert tuple(forms[name] for name in ("ger", "past", "used", "pres", "theypast")) == VERBS_PT[entry]


@pytest.mark.parametrize(
    ("entry", "forms"),
    [
        ("bonito", ("bonito", "bonita", "bonitos", "bonitas")),
        ("feliz", ("feliz", "feliz", "felizes", "felizes")),
        ("azul", ("azul", "azul", "azuis", "azuis")),
        ("ator/atriz/atores/atrizes", ("ator", "atriz", "atores", "atrizes")),
    ],
)
def test_portuguese_adjectives_agree(entry, forms):
    made = adjective_pt(entry)
    assert tuple(made[name] for name in ("", "f", "p", "fp")) == forms


@pytest.mark.parametrize("entry", VERBS_EN)
def test_english_verbs(entry):
    forms = verb_en(entry)
    assert (forms["s"], forms["ing"], forms["past"]) == VERBS_EN[entry]


def test_english_nouns_and_articles():
    assert noun_en("loaf/loaves") == {"": "loaf", "p": "loaves", "a": "a loaf"}
    assert noun_en("umbrella")["a"] == "an umbrella"
    assert adjective_en("orange")["a"] == "an orange"
    assert [plural_en(w) for w in ("city", "key", "dish")] == ["cities", "keys", "dishes"]
    assert plural_pt("girassol") == "girassóis"
