"""The grammar as a judge: its own stories are right, planted faults are not, and the floor is its own surprise."""

import math

import pytest

from dozero.eval.stories import judge_stories
from dozero.stories.tell import entropy, log_probability, tell

TALES = {lang: [tell(lang, 5, n) for n in range(60)] for lang in ("pt", "en")}


@pytest.mark.no_cover
@pytest.mark.parametrize("lang", ["pt", "en"])
def test_stories_of_the_grammar_are_right_and_old_ones_are_not_new(lang):
    score = judge_stories(lang, TALES[lang], set(TALES[lang][:20]))
    assert (score.stories, score.stories_right, score.new) == (60, 60, 40)
    assert score.sentences_right == score.sentences > 180
    assert score.share_of_sentences == 1


@pytest.mark.no_cover
@pytest.mark.parametrize("lang", ["pt", "en"])
def test_a_spoiled_word_costs_its_sentence_and_its_story(lang):
    spoiled = [text.replace(text.split()[0], "Xyzzy", 1) for text in TALES[lang][:50]]
    score = judge_stories(lang, spoiled, ())
    assert score.stories_right == 0
    assert 50 <= score.sentences - score.sentences_right <= 100
    assert score.new == 50


@pytest.mark.no_cover
@pytest.mark.parametrize("lang", ["pt", "en"])
def test_the_floor_is_about_what_so_many_stories_are_worth(lang):
    each = -sum(log_probability(lang, text) for text in TALES[lang]) / len(TALES[lang])
    assert math.isclose(each, entropy(lang), rel_tol=0.05)


def test_no_story_at_all_scores_nothing():
    assert judge_stories("en", [], ()).share_of_sentences == 0
