"""What the rest of the product asks of stories: told by number, never twice, judged exactly."""

import math
import re

import pytest

from dozero.stories.tell import (
    check_sentence,
    check_story,
    describe,
    entropy,
    judge,
    list_plots,
    list_words,
    log_probability,
    parse,
    tell,
)

LANGS = ("pt", "en")
FAULTS = {
    "pt": {"o": "a", "a": "o", "um": "uma", "uma": "um", "no": "na", "na": "no", "do": "da", "da": "do"},
    "en": {"a": "an", "an": "a", "his": "her", "her": "his", "was": "were", "the": "a"},
}


@pytest.mark.no_cover
@pytest.mark.parametrize("lang", LANGS)
def test_a_story_follows_from_its_number_and_no_two_are_alike(lang):
    stories = [tell(lang, 0, n) for n in range(4_000)]
    assert len(set(stories)) == len(stories)
    assert stories[:50] == [tell(lang, 0, n) for n in range(50)]
    assert tell(lang, 1, 0) != tell(lang, 0, 0)


def test_stories_are_the_same_for_ever():
    """Corpora are rebuilt from numbers: whoever changes the grammar changes these on purpose."""
    assert tell("pt", 0, 0) == tell("pt", 0, 0).strip()
    assert [len(tell(lang, 0, n).split("\n")) >= 3 for lang in LANGS for n in range(20)] == [True] * 40


@pytest.mark.no_cover
@pytest.mark.parametrize("lang", LANGS)
def test_repeats_are_hopeless_even_in_a_million(lang):
    """The chance that any two of n stories agree is at most n^2/2 times the sum of squared probabilities."""
    assert entropy(lang) / math.log(2) > 80
    commonest = max(log_probability(lang, tell(lang, 3, n)) for n in range(100))
    assert commonest < -30


@pytest.mark.no_cover
@pytest.mark.parametrize("lang", LANGS)
def test_a_planted_fault_of_agreement_is_found(lang):
    planted = found = 0
    for n in range(80):
        text = tell(lang, 2, n)
        for wrong, right in [(w, r) for r, w in FAULTS[lang].items()]:
            spoiled = re.sub(rf"\b{right}\b", wrong, text, count=1)
            if spoiled != text:
                planted += 1
                found += not check_story(lang, spoiled)
    assert planted > 150
    assert found / planted > 0.97  # a changed word may make another story of the grammar


@pytest.mark.parametrize(
    ("lang", "sentence"),
    [
        ("pt", "O menina saiu."),
        ("pt", "As casa era bonita."),
        ("en", "She ate a apple."),
        ("en", "I has a dog."),
        ("pt", ""),
    ],
)
def test_sentences_no_story_has_are_refused(lang, sentence):
    assert not check_sentence(lang, sentence)


@pytest.mark.no_cover
@pytest.mark.parametrize("lang", LANGS)
def test_a_wrong_answer_spoils_the_story_but_no_sentence(lang):
    answers, wrong = {}, 0
    for n in range(80):
        text = tell(lang, 4, n)
        body, _, answer = text.rpartition(": ")
        question = body.split("\n")[-2]
        other = answers.get(question.split()[1])
        if other and other != answer:
            spoiled = f"{body}: {other}"
            verdict = judge(lang, spoiled)
            if verdict.sentences == verdict.sentences_right:
                wrong += 1
                assert not verdict.story_right
        answers[question.split()[1]] = answer
    assert wrong > 5


@pytest.mark.no_cover
@pytest.mark.parametrize("lang", LANGS)
def test_a_right_story_is_right_in_every_part(lang):
    for n in range(40):
        text = tell(lang, 6, n)
        verdict = judge(lang, text)
        assert verdict.story_right, text
        assert verdict.sentences == verdict.sentences_right, text
        assert parse(lang, text).plot in list_plots(lang)
        assert math.isfinite(log_probability(lang, text))
        assert log_probability(lang, text + " ") == -math.inf


@pytest.mark.no_cover
@pytest.mark.parametrize("lang", LANGS)
def test_there_are_thousands_of_words_and_stories_use_them(lang):
    words = list_words(lang)
    assert len(words) == len(set(words)) == describe(lang).words >= 2000
    assert words == sorted(words)
    used = {w for n in range(3000) for w in re.findall(r"[^\W\d_]+(?:[-'][^\W\d_]+)*", tell(lang, 7, n).lower())}
    assert used <= set(words)
    assert len(used) > 0.9 * len(words)


@pytest.mark.no_cover
@pytest.mark.parametrize("lang", LANGS)
def test_the_description_is_exact(lang):
    facts = describe(lang)
    sizes = [len(tell(lang, 8, n).encode()) for n in range(3000)]
    assert facts.nats_per_story == entropy(lang)
    assert math.isclose(facts.bytes_per_story, sum(sizes) / len(sizes), rel_tol=0.02)
    assert 0 < facts.bits_per_byte < 0.5
