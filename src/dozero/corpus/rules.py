"""The filters that a configuration names, and what each reason to drop a document means.

A filter is chosen by name in TOML (`data.curate.filters`) and looked up in FILTERS, in the order given: put cheap ones
first. Thresholds go by the language of the document: English as published, Portuguese after FineWeb2, and for all others
the published ones without stop words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from dozero.corpus import quality, repetition
from dozero.corpus.document import Document
from dozero.corpus.parts import Filter, Parts
from dozero.corpus.quality import (
    OTHER_GOPHER,
    PORTUGUESE_C4,
    PORTUGUESE_FINEWEB,
    PORTUGUESE_GOPHER,
    C4Rules,
    FineWebRules,
    GopherRules,
    judge_c4,
    judge_fineweb,
    judge_gopher,
    judge_length,
)
from dozero.corpus.repetition import PORTUGUESE_REPETITION, RepetitionRules, judge_repetition
from dozero.errors import ConfigError, did_you_mean
from dozero.settings import CurateConfig

WRONG_LANGUAGE = "language"
UNSURE_LANGUAGE = "language: unsure"
# Below this even the likeliest language is a guess: numbers, code, lists of names.
LEAST_SHARE = 0.4

_Rules = TypeVar("_Rules", GopherRules, RepetitionRules, C4Rules, FineWebRules)


def language_of(document: Document, parts: Parts) -> str:
    """Return the code of the document's language: what it says, or else what its text looks like."""
    return document.lang or parts.language[0]


def by_language(config: CurateConfig) -> Filter | None:
    """Return a filter that keeps what is mostly in one of the languages; None when all are welcome."""
    if not config.languages:
        return None

    def judge(_document: Document, parts: Parts) -> str | None:
        code, share = parts.language
        if code not in config.languages:
            return WRONG_LANGUAGE
        return UNSURE_LANGUAGE if share < LEAST_SHARE else None

    return judge


def by_length(_config: CurateConfig) -> Filter:
    """Return a filter on the number of characters."""
    return lambda _document, parts: judge_length(parts)


def by_gopher_quality(_config: CurateConfig) -> Filter:
    """Return Gopher's rules on words, symbols and lines."""
    rules = {"en": GopherRules(), "pt": PORTUGUESE_GOPHER}
    return _by_rules(judge_gopher, rules, OTHER_GOPHER)


def by_gopher_repetition(_config: CurateConfig) -> Filter:
    """Return Gopher's rules on repeated lines, paragraphs and runs of words."""
    return _by_rules(judge_repetition, {"pt": PORTUGUESE_REPETITION}, RepetitionRules())


def by_c4(_config: CurateConfig) -> Filter:
    """Return C4's rules on pages."""
    return _by_rules(judge_c4, {"pt": PORTUGUESE_C4}, C4Rules())


def by_fineweb(_config: CurateConfig) -> Filter:
    """Return FineWeb's rules on lines."""
    return _by_rules(judge_fineweb, {"pt": PORTUGUESE_FINEWEB}, FineWebRules())


def _by_rules(judge_parts: Callable[[Parts, _Rules], str | None], rules: Mapping[str, _Rules], other: _Rules) -> Filter:
    def judge(document: Document, parts: Parts) -> str | None:
        return judge_parts(parts, rules.get(language_of(document, parts), other))

    return judge


FILTERS: dict[str, Callable[[CurateConfig], Filter | None]] = {
    "length": by_length,
    "language": by_language,
    "gopher_quality": by_gopher_quality,
    "gopher_repetition": by_gopher_repetition,
    "c4": by_c4,
    "fineweb": by_fineweb,
}
"""The filters by the names that `filters` may hold; None stands for one that has nothing to do."""


def make_filters(config: CurateConfig) -> list[tuple[str, Filter]]:
    """Return the filters that the configuration names, with their names, in its order.

    Raises ConfigError for a name that is none.
    """
    filters: list[tuple[str, Filter]] = []
    for name in config.filters:
        if name not in FILTERS:
            hint = did_you_mean(name, FILTERS)
            raise ConfigError(
                "no such filter" + (f", did you mean {hint}?" if hint else ""),
                where="filters",
                expected=f"names among {' '.join(FILTERS)}",
                got=repr(name),
            )
        judge = FILTERS[name](config)
        if judge is not None:
            filters.append((name, judge))
    return filters


REASONS: dict[str, tuple[str, str]] = {
    quality.TOO_SHORT: ("menos de 100 caracteres", "fewer than 100 characters"),
    quality.TOO_LONG: ("mais de 5 milhões de caracteres", "more than 5 million characters"),
    WRONG_LANGUAGE: ("a maior parte está em outro idioma", "most of it is in another language"),
    UNSURE_LANGUAGE: ("não se sabe em que idioma está", "nobody can tell which language it is in"),
    quality.FEW_WORDS: ("poucas palavras", "too few words"),
    quality.MANY_WORDS: ("palavras demais", "too many words"),
    quality.SHORT_WORDS: ("as palavras são curtas demais", "its words are too short"),
    quality.LONG_WORDS: ("as palavras são longas demais", "its words are too long"),
    quality.HASHES: ("sinais # demais", "too many # signs"),
    quality.ELLIPSES: ("reticências demais", "too many ellipses"),
    quality.BULLETS: ("quase todas as linhas são itens de lista", "almost all lines are items of a list"),
    quality.CUT_LINES: ("linhas demais terminam em reticências", "too many lines end in an ellipsis"),
    quality.FEW_LETTERS: ("números e sinais demais entre as palavras", "too many numbers and marks among its words"),
    quality.FEW_STOP_WORDS: ("faltam as palavras comuns do idioma", "the common words of the language are missing"),
    repetition.EMPTY: ("está vazio", "it is empty"),
    repetition.SAME_PARAGRAPHS: ("parágrafos demais se repetem", "too many paragraphs are repeated"),
    repetition.SAME_LINES: ("linhas demais se repetem", "too many lines are repeated"),
    **{
        reason: (f"uma mesma sequência de {n} palavras aparece demais", f"one run of {n} words comes too often")
        for n, reason in repetition.TOP_RUN.items()
    },
    **{
        reason: (f"sequências de {n} palavras se repetem demais", f"runs of {n} words are repeated too much")
        for n, reason in repetition.SAME_RUNS.items()
    },
    quality.LOREM_IPSUM: ("contém lorem ipsum", "it holds lorem ipsum"),
    quality.CURLY_BRACKET: ("contém chaves, como as de um programa", "it holds curly brackets, as programs do"),
    quality.FEW_SENTENCES: ("menos de 5 frases em linhas boas", "fewer than 5 sentences in good lines"),
    quality.BLANK: ("só tem linhas em branco", "it has but blank lines"),
    quality.OPEN_LINES: ("poucas linhas terminam em pontuação", "too few lines end in punctuation"),
    quality.SHORT_LINES: ("linhas curtas demais", "too many short lines"),
    quality.SAME_CHARACTERS: ("texto demais em linhas repetidas", "too much text in repeated lines"),
    quality.LIST: ("linhas demais para tão poucas palavras", "too many lines for so few words"),
}
"""What each reason means, in Portuguese and in English, for reports: a document was dropped because ..."""
