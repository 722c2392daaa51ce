"""Reading gives back what was written, with its exact probability, and refuses everything else."""

import math

import pytest

from dozero.stories.grammar import load_grammar
from dozero.stories.reading import can_write_sentence, parse_story
from dozero.stories.writing import write_story


def test_probabilities_of_all_stories_are_those_of_their_derivations(toy, toy_stories):
    by_text = {}
    for text, probability in toy_stories:
        by_text[text] = by_text.get(text, 0.0) + probability
    assert math.isclose(sum(by_text.values()), 1.0)
    for text, probability in by_text.items():
        parse = parse_story(toy, text)
        assert parse is not None, text
        assert math.isclose(math.exp(parse.log_probability), probability, rel_tol=1e-9), text


def test_a_story_written_in_two_ways_counts_both(toy):
    parse = parse_story(toy, "João achou Rui. Sim.\nPergunta: Quem?\nResposta: Rui.")
    assert parse.derivations == 2
    assert parse.words == {"hero": "João", "friend": "Rui"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "João viu a pião. Fim.",  # gender
        "Ana viu o pião. Ana ficou calmo.",  # gender of an adjective
        "Ana viu o pião. Rui ficou calmo.",  # another hero
        "Ana achou Ana. Sim.\nPergunta: Quem?\nResposta: Ana.",  # two who are one
        "João achou Rui. Sim.\nPergunta: Quem?\nResposta: João.",  # a wrong answer
        "João viu o pião. Fim",
        "João viu o pião.  Fim.",
        "João viu o pião. Fim. Fim.",
    ],
)
def test_what_the_grammar_cannot_write_has_no_parse(toy, text):
    assert parse_story(toy, text) is None


def test_sentences_are_judged_alone(toy):
    good = ["Ana viu a bola.", "Ana ficou calma.", "Rui ficou feliz.", "Fim.", "Resposta: Ana."]
    bad = ["Ana viu o bola.", "Ana ficou calmo.", "Fim", "Ana ficou calma. Fim.", ""]
    assert [can_write_sentence(toy, s) for s in good] == [True] * len(good)
    assert [can_write_sentence(toy, s) for s in bad] == [False] * len(bad)


@pytest.mark.no_cover
@pytest.mark.parametrize("lang", ["pt", "en"])
def test_every_story_told_is_read_in_one_way(lang):
    grammar = load_grammar(lang)
    for n in range(100):
        parse = parse_story(grammar, write_story(grammar, f"read {n}"))
        assert parse is not None
        assert parse.derivations == 1
        assert -120 < parse.log_probability < -25
