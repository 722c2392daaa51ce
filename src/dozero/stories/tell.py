"""Stories: told by number, and judged by the grammar that tells them.

>>> text = tell("en", seed=0, index=7)
>>> text == tell("en", seed=0, index=7), check_story("en", text), check_sentence("en", "I has a apple.")
(True, True, False)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from dozero.stories.grammar import load_grammar, split_sentences
from dozero.stories.measure import entropy_nats, expected_bytes, word_forms
from dozero.stories.reading import Parse, can_write_sentence, parse_story
from dozero.stories.writing import write_story


@dataclass(frozen=True)
class Description:
    """What a grammar amounts to; every figure is exact."""

    lang: str
    plots: int
    sentences: int
    """Templates of sentences."""
    words: int
    """Distinct forms of words, upper and lower case counted as one."""
    nats_per_story: float
    """Entropy: no model can need less on average."""
    bytes_per_story: float

    @property
    def bits_per_byte(self) -> float:
        """The floor under the loss of any model of these stories, the end of a story told for free."""
        return self.nats_per_story / math.log(2) / self.bytes_per_story


@dataclass(frozen=True)
class Verdict:
    """What the grammar says of a text: how many of its sentences are right, and whether they make a story."""

    sentences: int
    sentences_right: int
    story_right: bool
    """Names, things, places and the answer agree from first to last."""


def tell(lang: str, seed: int, index: int) -> str:
    """Return a story, the same for the same three values for ever; ConfigError for a language without stories."""
    return write_story(load_grammar(lang), f"{seed}/{index}")


def parse(lang: str, text: str) -> Parse | None:
    """Return the plot, the words and the probability of a story; None if the grammar cannot tell it."""
    return parse_story(load_grammar(lang), text)


def log_probability(lang: str, text: str) -> float:
    """Return the exact log-probability of a text in nats, over all its derivations; -inf if it is no story."""
    parsed = parse(lang, text)
    return -math.inf if parsed is None else parsed.log_probability


def entropy(lang: str) -> float:
    """Return the exact entropy of a story in nats: the mean of -log_probability over all stories."""
    return entropy_nats(load_grammar(lang))


def check_sentence(lang: str, sentence: str) -> bool:
    """Return whether some story has this very sentence: its words known, in their places and agreeing."""
    return can_write_sentence(load_grammar(lang), sentence)


def check_story(lang: str, text: str) -> bool:
    """Return whether a text is a whole story in which the sentences fit together and the answer is right."""
    return parse(lang, text) is not None


def judge(lang: str, text: str) -> Verdict:
    """Return how many sentences of a text are right, and whether it is right as a whole."""
    sentences = split_sentences(text)
    right = sum(check_sentence(lang, sentence) for sentence in sentences)
    return Verdict(len(sentences), right, right == len(sentences) and check_story(lang, text))


def list_words(lang: str) -> list[str]:
    """Return every form of every word in the stories of a language, in lower case and sorted."""
    return sorted(word_forms(load_grammar(lang)))


def list_plots(lang: str) -> list[str]:
    """Return the names of the plots, the same in every language."""
    return list(load_grammar(lang).plots)


def describe(lang: str) -> Description:
    """Return the size of a grammar and its entropy."""
    grammar = load_grammar(lang)
    return Description(
        lang,
        len(grammar.plots),
        len(grammar.sentences),
        len(word_forms(grammar)),
        entropy_nats(grammar),
        expected_bytes(grammar, grammar.root),
    )
