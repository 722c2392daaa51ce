"""Which language a text is in, by py3langid: naive Bayes on byte n-grams, 97 languages (Lui and Baldwin 2012,
https://aclanthology.org/P12-3005/).

The model sees one piece of 160 characters at a time, and what the pieces say is added up. A page that is half English
is then half English; one look at all of it would be sure of either. Few pieces are looked at while they agree, all of
them when they do not.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

PIECE = 160
# Lines that end like sentences say which language a page is in; listings, menus and headings hold English words anywhere.
SENTENCE_ENDS = (".", "!", "?", ":", ";", "…", '"', "”", "»", ")", "。", "！", "？", "।", "؟")
SHORTEST_SENTENCE = 80
LEAST_PROSE = 0.2
# One look for each 800 characters, 4 at least: four looks agree on the smaller half of a page once in sixteen times.
CHARACTERS_PER_LOOK = 800
FEWEST_LOOKS = 4
MOST_LOOKS = 24
MOST_PIECES = 512


def detect_language(text: str) -> tuple[str, float]:
    """Return the code of the language most of the text is in, and the share of it that is.

    The share is the mean of what the model says of each piece, so that doubt lowers it as well as other languages do.
    Text without a letter has no language: ("", 0.0).

    >>> detect_language("O gato subiu no telhado e não quer mais descer de lá, por mais que a menina o chame.")[0]
    'pt'
    >>> detect_language("12,5 + 3 = ?")
    ('', 0.0)
    """
    pieces = _cut_pieces(text)
    looks = min(MOST_LOOKS, max(FEWEST_LOOKS, len(text) // CHARACTERS_PER_LOOK))
    shares = _add_up(_spread(pieces, looks))
    if len(shares) > 1 and len(pieces) > looks:
        shares = _add_up(_spread(pieces, MOST_PIECES))
    if not shares:
        return "", 0.0
    return max(shares.items(), key=lambda item: (item[1], item[0]))


def _cut_pieces(text: str) -> list[str]:
    lines = [line for line in map(str.strip, text.split("\n")) if line]
    prose = [line for line in lines if len(line) >= SHORTEST_SENTENCE and line.endswith(SENTENCE_ENDS)]
    if sum(map(len, prose)) < LEAST_PROSE * len(text):
        prose = [" ".join(lines)]
    return [piece for line in prose for piece in _cut_evenly(line)]


def _cut_evenly(line: str) -> list[str]:
    count = -(-len(line) // PIECE)
    size = -(-len(line) // max(1, count))
    return [line[start : start + size] for start in range(0, len(line), size)] if line else []


def _spread(items: list[str], count: int) -> list[str]:
    """Return at most `count` of the items, evenly spread."""
    if len(items) <= count:
        return items
    return [items[i * len(items) // count] for i in range(count)]


def _add_up(pieces: list[str]) -> dict[str, float]:
    """Return for each language found the share of the characters in it."""
    identifier = _load_identifier()
    said = [(len(piece), *_classify(identifier, piece)) for piece in pieces if any(map(str.isalpha, piece))]
    total = sum(length for length, _, _ in said)
    shares: dict[str, float] = {}
    for length, code, probability in said:
        shares[code] = shares.get(code, 0.0) + length * probability / total
    return shares


@cache
def _load_identifier() -> LanguageIdentifier:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def _classify(identifier: LanguageIdentifier, piece: str) -> tuple[str, float]:
    code, probability = identifier.classify(piece)
    return str(code), float(probability)
