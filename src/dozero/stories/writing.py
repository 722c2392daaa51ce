"""The grammar read forwards: a number becomes a story."""

from __future__ import annotations

import hashlib

from dozero.stories.grammar import Grammar
from dozero.stories.notation import FORMS_BY_AGREEMENT, Adjective, Agreement, Choice, Node, Text, Word


class Dice:
    """Fair choices that follow from a text alone, the same on every machine and version of Python.

    The 512 bits of its hash are one number; each choice takes a digit off, in the base of its number of options. A story
    takes about 150 bits, so what is left is always too large for the bias to matter (less than one part in 2**300).
    """

    def __init__(self, source: str) -> None:
        self.number = int.from_bytes(hashlib.blake2b(source.encode()).digest(), "big")

    def roll(self, options: int) -> int:
        """Return one of 0 ... options - 1."""
        self.number, choice = divmod(self.number, options)
        return choice


class Writer:
    """One story as it grows: what each variable holds, and the text so far."""

    def __init__(self, grammar: Grammar, dice: Dice) -> None:
        self.grammar, self.dice = grammar, dice
        self.held: dict[str, int] = {}
        self.text: list[str] = []

    def write(self, nodes: tuple[Node, ...]) -> None:
        """Add the text of the nodes."""
        for node in nodes:
            if isinstance(node, Text):
                self.text.append(node.text)
            elif isinstance(node, Choice):
                self.write(node.options[self.dice.roll(len(node.options))])
            else:
                self.text.append(self.word(node))

    def word(self, node: Word | Agreement | Adjective) -> str:
        """Return the text of a slot."""
        entries = self.grammar.words_for(node.variable).entries
        if isinstance(node, Agreement):
            return node.forms[entries[self.holds(node.variable)].feature]
        form = node.form if isinstance(node, Word) else FORMS_BY_AGREEMENT[self.feature(node)]
        return entries[self.holds(node.variable)].forms[form]

    def feature(self, node: Adjective) -> int:
        """Return the feature with which an adjective agrees."""
        feature = self.grammar.words_for(node.noun).entries[self.holds(node.noun)].feature
        return feature | 2 if node.plural else feature

    def holds(self, variable: str) -> int:
        """Return the index of what a variable holds, drawn on first use, from what no other of its class holds."""
        if variable not in self.held:
            class_of = self.grammar.class_of
            name = class_of[variable]
            taken = sorted(index for other, index in self.held.items() if class_of[other] == name)
            choice = self.dice.roll(len(self.grammar.classes[name].entries) - len(taken))
            for index in taken:
                choice += choice >= index
            self.held[variable] = choice
        return self.held[variable]


def write_story(grammar: Grammar, source: str) -> str:
    """Return the story that the dice of `source` choose."""
    writer = Writer(grammar, Dice(source))
    writer.write((grammar.root,))
    return "".join(writer.text)
