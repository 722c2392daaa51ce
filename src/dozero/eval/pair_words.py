"""Drawing words for minimal pairs from the classes of the stories' grammar."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

from dozero.stories.lexicon import Entry, WordClass

Classes = Mapping[str, WordClass]
PairMaker = Callable[[Classes, Random], tuple[str, str]]
FEMININE, PLURAL = 1, 2


def pick(classes: Classes, name: str, draw: Random, *, suits: Callable[[Entry], bool] = lambda _: True) -> Entry:
    """Return an entry of a class that suits."""
    return draw.choice([entry for entry in classes[name].entries if suits(entry)])


def two_people(classes: Classes, draw: Random) -> tuple[str, str]:
    """Return the names of two people."""
    first, second = draw.sample(classes["person"].entries, 2)
    return first.forms[""], second.forms[""]


def is_feminine(entry: Entry) -> bool:
    """Return whether the word is feminine."""
    return bool(entry.feature & FEMININE)


def is_plural(entry: Entry) -> bool:
    """Return whether the word is used in the plural."""
    return bool(entry.feature & PLURAL)


def is_one_word(entry: Entry) -> bool:
    """Return whether the word has no space: of others not every form is known."""
    return " " not in entry.forms[""]


def is_singular(entry: Entry) -> bool:
    """Return whether it is one word, used in the singular."""
    return not is_plural(entry) and is_one_word(entry)


def contrast(template: str, right: str, wrong: str) -> tuple[str, str]:
    """Return the template with the right and with the wrong words in the place of *, as sentences.

    >>> contrast("* casa é azul.", "a", "o")
    ('A casa é azul.', 'O casa é azul.')
    """
    assert right != wrong, f"no contrast in {template!r}: {right!r}"
    assert template.count("*") == 1, template
    told = (template.replace("*", words) for words in (right, wrong))
    first, second = (text[0].upper() + text[1:] for text in told)
    return first, second
