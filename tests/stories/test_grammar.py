"""The two grammars as they are shipped."""

import re

import pytest

from dozero.errors import ConfigError
from dozero.stories.grammar import LANGUAGES, load_grammar, split_sentences, variables_of
from dozero.stories.measure import texts_of
from dozero.stories.notation import Choice, Text
from dozero.stories.writing import write_story


def leaves(nodes):
    for node in nodes:
        if isinstance(node, Choice):
            for option in node.options:
                yield from leaves(option)
        else:
            yield node


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_slot_can_be_filled_in_every_feature(lang):
    grammar = load_grammar(lang)
    for nodes in grammar.sentences:
        for node in leaves(nodes):
            assert isinstance(node, Text) or all(isinstance(text, str) for text in texts_of(grammar, node))


@pytest.mark.parametrize("lang", LANGUAGES)
def test_sentences_of_stories_are_the_sentences_of_the_grammar(lang):
    grammar = load_grammar(lang)
    assert len(set(grammar.sentences)) == len(grammar.sentences) > 300
    for n in range(100):
        story = write_story(grammar, f"split {n}")
        pieces = split_sentences(story)
        assert (
            "".join(pieces)
            == story.replace("\n", "").replace(". ", ".").replace("! ", "!").replace("? ", "?").replace('" ', '" ')
            or len(pieces) >= 4
        )
        assert all(piece == piece.strip() for piece in pieces)


def test_the_languages_tell_the_same_plots_with_their_own_words():
    pt, en = (load_grammar(lang) for lang in LANGUAGES)
    assert list(pt.plots) == list(en.plots)
    assert len(pt.plots) >= 8
    assert set(pt.classes) & set(en.classes)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_plot_asks_and_answers(lang):
    question = {"pt": r"\nPergunta: .+\?\nResposta: .+\.$", "en": r"\nQuestion: .+\?\nAnswer: .+\.$"}[lang]
    grammar = load_grammar(lang)
    assert all(re.search(question, write_story(grammar, f"ask {n}")) for n in range(200))


def test_a_variable_is_found_wherever_it_stands():
    node = Choice(((load_grammar("pt").plots["lost"][0],),))
    assert "hero" in set(variables_of(node))


def test_another_language_is_refused_with_those_there_are():
    with pytest.raises(ConfigError, match="no stories in this language") as refused:
        load_grammar("de")
    assert "pt" in str(refused.value)
