"""Stories follow from a text alone, and every choice is fair."""

from collections import Counter

import pytest

from dozero.stories.writing import Dice, write_story


@pytest.mark.parametrize("options", [1, 2, 3, 7, 150])
def test_dice_are_fair(options):
    counts = Counter(Dice(f"throw {n}").roll(options) for n in range(200 * options))
    expected = 200
    chi = sum((counts[n] - expected) ** 2 / expected for n in range(options))
    assert set(counts) <= set(range(options))
    assert chi < options - 1 + 5 * (2 * options) ** 0.5  # five standard deviations


def test_the_same_source_throws_the_same():
    rolls = [[Dice("a").roll(n) for n in (2, 3, 5)] for _ in range(2)]
    assert rolls[0] == rolls[1]
    dice, other = Dice("a"), Dice("b")
    assert [dice.roll(10**6) for _ in range(5)] != [other.roll(10**6) for _ in range(5)]


def test_only_stories_of_the_grammar_are_written_and_all_of_them_are(toy, toy_stories):
    known = {text for text, _ in toy_stories}
    written = {write_story(toy, str(n)) for n in range(3000)}
    assert written == known


def test_two_people_of_a_story_are_never_the_same(toy):
    for n in range(500):
        story = write_story(toy, f"meet {n}")
        if " achou " in story:
            hero, friend = story.split(".")[0].split(" achou ")
            assert hero != friend
