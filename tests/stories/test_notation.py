"""Templates say what they mean, and a slip in one is found when the grammar is read."""

import pytest

from dozero.stories.notation import Adjective, Agreement, Choice, Text, Word, read_slot, read_template

RULE = {"end": Choice(((Text("Fim."),),))}.__getitem__


def test_slots_choices_and_rules_are_read_in_order():
    nodes = read_template("{hero:O} {toy.p} [é|era [bem|]] {mood~toy}. <end>", RULE, {"o": "o/a/os/as"})
    assert nodes == (
        Agreement("hero", ("O", "A", "Os", "As")),
        Text(" "),
        Word("toy", "p"),
        Text(" "),
        Choice(((Text("é"),), (Text("era "), Choice(((Text("bem"),), ()))))),
        Text(" "),
        Adjective("mood", "toy", False),
        Text(". "),
        RULE("end"),
    )


def test_two_endings_stand_for_four():
    assert read_slot("hero:o/a", {}).forms == ("o", "a", "o", "a")
    assert read_slot("mood~toy*", {}) == Adjective("mood", "toy", True)


@pytest.mark.parametrize("template", ["a [b|c", "a b]", "{toy", "a } b", "<end"])
def test_a_bracket_without_its_pair_is_found(template):
    with pytest.raises((AssertionError, IndexError)):
        read_template(template, RULE)


def test_a_row_that_is_not_in_the_table_is_found():
    with pytest.raises(KeyError):
        read_slot("hero:nenhum", {})
