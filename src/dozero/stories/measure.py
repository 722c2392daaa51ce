"""The grammar measured without writing a story: entropy, length and vocabulary by recursion over its nodes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from dozero.stories.grammar import Grammar
from dozero.stories.notation import FORMS_BY_AGREEMENT, Adjective, Agreement, Choice, Node, Text, Word
from dozero.stories.reading import drawn_nats

Usage = dict[frozenset[str], float]
"""The probability of each set of variables that a derivation may use."""
LETTERS = re.compile(r"[^\W\d_]+(?:[-'][^\W\d_]+)*")


def entropy_nats(grammar: Grammar) -> float:
    """Return the exact entropy of a story: of what is chosen, and of what the variables used then hold.

    That is the entropy of a derivation; no text has two, and no variable is used without being told apart (tests hold
    both), so it is the entropy of the text.
    """
    used = usage(grammar.root, mentioned)
    return choice_nats(grammar.root) + sum(p * drawn_nats(grammar, variables) for variables, p in used.items())


def choice_nats(node: Node) -> float:
    """Return the expected surprise at the choices made below a node."""
    if not isinstance(node, Choice):
        return 0.0
    below = sum(choice_nats(child) for option in node.options for child in option)
    return math.log(len(node.options)) + below / len(node.options)


def mentioned(node: Node) -> frozenset[str]:
    """Return the variables whose entry shapes the text of a node."""
    if isinstance(node, Adjective):
        return frozenset((node.variable, node.noun))
    return frozenset((node.variable,)) if isinstance(node, Word | Agreement) else frozenset()


def usage(node: Node, used_by: Callable[[Node], frozenset[str]]) -> Usage:
    """Return how likely each set of variables is to be used by the derivations of a node."""
    if not isinstance(node, Choice):
        return {used_by(node): 1.0}
    total: Usage = {}
    for option in node.options:
        used: Usage = {frozenset(): 1.0 / len(node.options)}
        for child in option:
            used = _joined(used, usage(child, used_by))
        for variables, p in used.items():
            total[variables] = total.get(variables, 0.0) + p
    return total


def _joined(first: Usage, then: Usage) -> Usage:
    joined: Usage = {}
    for a, p in first.items():
        for b, q in then.items():
            both = a | b
            joined[both] = joined.get(both, 0.0) + p * q
    return joined


def texts_of(grammar: Grammar, node: Word | Agreement | Adjective) -> list[str]:
    """Return the texts a slot can take, as often as each is likely: a variable holds every entry equally often."""
    words = grammar.words_for(node.variable)
    if isinstance(node, Word):
        return [entry.forms[node.form] for entry in words.entries]
    if isinstance(node, Agreement):
        return [node.forms[entry.feature] for entry in words.entries]
    features = [noun.feature | 2 if node.plural else noun.feature for noun in grammar.words_for(node.noun).entries]
    return [entry.forms[FORMS_BY_AGREEMENT[feature]] for feature in features for entry in words.entries]


def expected_bytes(grammar: Grammar, node: Node) -> float:
    """Return the mean length in UTF-8 of what a node writes."""
    if isinstance(node, Text):
        return float(len(node.text.encode()))
    if isinstance(node, Choice):
        return sum(expected_bytes(grammar, c) for option in node.options for c in option) / len(node.options)
    texts = texts_of(grammar, node)
    return sum(len(text.encode()) for text in texts) / len(texts)


def word_forms(grammar: Grammar) -> set[str]:
    """Return every form of every word that stories hold, in lower case."""
    forms: set[str] = set()
    for sentence in grammar.sentences:
        forms |= {form.lower() for form in _finish(grammar, sentence, {""}, forms)}
    return forms - {""}


def _finish(grammar: Grammar, nodes: tuple[Node, ...], begun: set[str], forms: set[str]) -> set[str]:
    """Return the words that may be unfinished after the nodes, given those unfinished before; add the finished."""
    for node in nodes:
        if isinstance(node, Choice):
            begun = set().union(*(_finish(grammar, option, begun, forms) for option in node.options))
        else:
            texts = {node.text} if isinstance(node, Text) else set(texts_of(grammar, node))
            begun = {_last_word(head + text, forms) for head in begun for text in texts}
    return begun


def _last_word(text: str, forms: set[str]) -> str:
    """Return the word that the text ends in, "" if it ends in none; add the words before it to the forms."""
    words = list(LETTERS.finditer(text))
    ends_in_word = bool(words) and words[-1].end() == len(text)
    forms.update(word[0].lower() for word in (words[:-1] if ends_in_word else words))
    return words[-1][0] if ends_in_word else ""
