"""The grammar read backwards: from a text to all its derivations, and their exact probability."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from dozero.stories.grammar import Grammar
from dozero.stories.notation import FORMS_BY_AGREEMENT, Adjective, Agreement, Choice, Node, Text, Word

Held = dict[str, frozenset[int]]
"""For each variable met so far, the entries that it may still hold."""


class State(NamedTuple):
    """One derivation of the text up to a position: what variables may hold, and the nats of the choices made."""

    position: int
    held: Held
    nats: float


@dataclass(frozen=True)
class Parse:
    """What a whole story says under the grammar."""

    plot: str
    words: dict[str, str]
    """What each variable holds, in its first form."""
    log_probability: float
    """Natural logarithm of the probability of this text, over all its derivations."""
    derivations: int
    """Ways in which the grammar writes this text; 1 in an unambiguous grammar."""


def read(grammar: Grammar, nodes: tuple[Node, ...], text: str, states: list[State]) -> list[State]:
    """Return every way in which the nodes go on with the text from any of the states."""
    for node in nodes:
        states = [after for state in states for after in _read_node(grammar, node, text, state)]
        if not states:
            break
    return states


def _read_node(grammar: Grammar, node: Node, text: str, state: State) -> Iterator[State]:
    if isinstance(node, Text):
        if text.startswith(node.text, state.position):
            yield state._replace(position=state.position + len(node.text))
    elif isinstance(node, Choice):
        started = [state._replace(nats=state.nats + math.log(len(node.options)))]
        for option in node.options:
            yield from read(grammar, option, text, started)
    elif isinstance(node, Word):
        yield from _read_word(grammar, node.variable, node.form, text, state)
    elif isinstance(node, Agreement):
        yield from _read_agreement(grammar, node, text, state)
    else:
        yield from _read_adjective(grammar, node, text, state)


def _read_word(grammar: Grammar, variable: str, form: str, text: str, state: State) -> Iterator[State]:
    words = grammar.words_for(variable)
    for length in words.lengths[form]:
        end = state.position + length
        entries = words.written[form].get(text[state.position : end])
        if entries is None:
            continue
        held = _narrow(grammar, state.held, variable, entries)
        if held is not None:
            yield State(end, held, state.nats)


def _read_agreement(grammar: Grammar, node: Agreement, text: str, state: State) -> Iterator[State]:
    entries_of: dict[str, frozenset[int]] = {}
    for feature, entries in grammar.words_for(node.variable).with_feature.items():
        form = node.forms[feature]
        entries_of[form] = entries_of.get(form, frozenset()) | entries
    for form, entries in entries_of.items():
        if text.startswith(form, state.position):
            held = _narrow(grammar, state.held, node.variable, entries)
            if held is not None:
                yield State(state.position + len(form), held, state.nats)


def _read_adjective(grammar: Grammar, node: Adjective, text: str, state: State) -> Iterator[State]:
    for feature, entries in grammar.words_for(node.noun).with_feature.items():
        held = _narrow(grammar, state.held, node.noun, entries)
        if held is not None:
            form = FORMS_BY_AGREEMENT[feature | 2 if node.plural else feature]
            yield from _read_word(grammar, node.variable, form, text, state._replace(held=held))


def _narrow(grammar: Grammar, held: Held, variable: str, entries: frozenset[int]) -> Held | None:
    """Return what is held when the variable holds one of these entries; None if it cannot.

    Two variables of a class never hold the same entry.
    """
    before = held.get(variable)
    left = entries if before is None else before & entries
    if not left:
        return None
    if left == before:
        return held
    name = grammar.class_of[variable]
    if len(left) == 1 and any(
        other != variable and entry == left and grammar.class_of[other] == name for other, entry in held.items()
    ):
        return None
    return {**held, variable: left}


def drawn_nats(grammar: Grammar, variables: frozenset[str] | Held) -> float:
    """Return the surprise at what some variables hold: each is drawn from the entries that the others left."""
    left = dict.fromkeys(grammar.classes, 0)
    nats = 0.0
    for variable in sorted(variables):
        name = grammar.class_of[variable]
        nats += math.log(len(grammar.classes[name].entries) - left[name])
        left[name] += 1
    return nats


def _count_holdings(grammar: Grammar, held: Held) -> int:
    """Return in how many ways the variables can hold different entries of those left to them."""
    if not held:
        return 1
    rest = dict(held)
    variable, entries = rest.popitem()
    name = grammar.class_of[variable]
    return sum(
        _count_holdings(grammar, {v: e - {entry} if grammar.class_of[v] == name else e for v, e in rest.items()})
        for entry in entries
    )


def parse_story(grammar: Grammar, text: str) -> Parse | None:
    """Return the parse of a whole story, with its exact probability; None if the grammar cannot write it."""
    found: list[tuple[str, State, float]] = []
    for plot, nodes in grammar.plots.items():
        start = State(0, {}, math.log(len(grammar.plots)))
        for state in read(grammar, nodes, text, [start]):
            if state.position == len(text):
                nats = state.nats + drawn_nats(grammar, state.held) - math.log(_count_holdings(grammar, state.held))
                found.append((plot, state, nats))
    if not found:
        return None
    plot, likeliest, least = min(found, key=lambda each: each[2])
    total = -least + math.log(math.fsum(math.exp(least - nats) for _, _, nats in found))
    words = {v: grammar.words_for(v).entries[min(held)].forms[""] for v, held in likeliest.held.items()}
    return Parse(plot, words, total, len(found))


def can_write_sentence(grammar: Grammar, sentence: str) -> bool:
    """Return whether some story of the grammar can have this sentence."""
    start = [State(0, {}, 0.0)]
    length = len(sentence)
    return any(
        any(state.position == length for state in read(grammar, nodes, sentence, start)) for nodes in grammar.sentences
    )
