"""A grammar of stories: plots of sentences with alternatives, and the words for their slots. Read from two files.

`words_<lang>.toml` has the classes of words; `plots_<lang>.toml` the table of agreement, the rules, and the plots, each
a list of steps, each a list of alternatives. Everything chosen is chosen uniformly. See `notation.py` for the templates.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from dozero.errors import ConfigError
from dozero.stories.lexicon import WordClass, read_class
from dozero.stories.notation import Choice, Node, read_template

LANGUAGES = ("pt", "en")
SENTENCE_END = re.compile(r'\n+|(?:(?<=[.!?])|(?<=[.!?]")) (?=\[?["A-ZÀ-Ý{<])')
LONE_RULE = re.compile(r"<(\w+)>")


@dataclass(frozen=True)
class Grammar:
    """A grammar ready to write, read and measure."""

    lang: str
    classes: dict[str, WordClass]
    class_of: dict[str, str]
    """The class of each variable."""
    plots: dict[str, tuple[Node, ...]]
    sentences: tuple[tuple[Node, ...], ...]
    """Every sentence there is, wherever it stands."""

    def words_for(self, variable: str) -> WordClass:
        """Return the class of a variable."""
        return self.classes[self.class_of[variable]]

    @property
    def root(self) -> Choice:
        """The choice of a plot: the whole grammar as one node."""
        return Choice(tuple(self.plots.values()))


@cache
def load_grammar(lang: str) -> Grammar:
    """Return the grammar of a language; ConfigError when there is none."""
    if lang not in LANGUAGES:
        raise ConfigError(
            "no stories in this language", expected=f"one of {' '.join(LANGUAGES)}", got=repr(lang),
            next="dozero hello stories --lang pt",
        )  # fmt: skip
    words, plots = (_read_table(f"{kind}_{lang}.toml") for kind in ("words", "plots"))
    return build_grammar(lang, words, plots)


def _read_table(name: str) -> dict[str, Any]:
    return tomllib.loads((resources.files("dozero.stories") / name).read_text(encoding="utf-8"))


def build_grammar(lang: str, words: Mapping[str, Any], plots: Mapping[str, Any]) -> Grammar:
    """Return the grammar of two tables: classes of words; and `agreement`, `roles`, `rules` and `plots`."""
    agreement, roles, rules = plots.get("agreement", {}), plots.get("roles", {}), plots.get("rules", {})

    @cache
    def rule(name: str) -> Choice:
        return Choice(tuple(nodes(alternative) for alternative in rules[name]))

    def nodes(template: str) -> tuple[Node, ...]:
        return read_template(template, rule, agreement)

    def plot(steps: list[list[str]]) -> tuple[Node, ...]:
        written = [[_spaced(text) if i else text for text in step] for i, step in enumerate(steps)]
        return tuple(Choice(tuple(map(nodes, step))) for step in written)

    def pieces(template: str) -> Iterator[str]:
        for piece in split_sentences(template):
            lone = LONE_RULE.fullmatch(piece)
            for alternative in rules[lone[1]] if lone else ():
                yield from pieces(alternative)
            if not lone:
                yield piece

    templates = [text for steps in plots["plots"].values() for step in steps for text in step]
    unique = dict.fromkeys(piece for template in templates for piece in pieces(template))
    grammar_plots = {name: plot(steps) for name, steps in plots["plots"].items()}
    variables = dict.fromkeys(v for steps in grammar_plots.values() for node in steps for v in variables_of(node))
    return Grammar(
        lang,
        {name: read_class(lang, name, table) for name, table in words.items()},
        {variable: roles.get(variable, variable.rstrip("0123456789")) for variable in variables},
        grammar_plots,
        tuple(map(nodes, unique)),
    )


def _spaced(template: str) -> str:
    """Return the template with what parts it from the one before: a space, unless it begins a new line."""
    return template if template.startswith("\n") else f" {template}"


def split_sentences(text: str) -> list[str]:
    r"""Return the sentences of a story, or of a template: they end at . ! ? before a capital, or with the line.

    >>> split_sentences('Ana smiled. "Is it here?" asked Ana.\n"Yes!" Rui ran.')
    ['Ana smiled.', '"Is it here?" asked Ana.', '"Yes!"', 'Rui ran.']
    """
    return [piece for piece in SENTENCE_END.split(text) if piece]


def variables_of(node: Node) -> Iterator[str]:
    """Yield the variables that a node mentions, each as often as it does."""
    if isinstance(node, Choice):
        for option in node.options:
            for child in option:
                yield from variables_of(child)
        return
    for name in ("variable", "noun"):
        if hasattr(node, name):
            yield getattr(node, name)
