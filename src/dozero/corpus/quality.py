"""Rules that tell prose from what is no text: length, Gopher, C4, FineWeb.

Each judges one document as a whole and says why it falls. Definitions and defaults are those of datatrove 0.10, verdict
for verdict, on our words (see parts.py), but for marks, which are no words to us. Thresholds for Portuguese are those that FineWeb2 found by statistics of its
Portuguese pages (Penedo et al. 2025, https://arxiv.org/abs/2506.20920, configs/por_Latn.yml).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import compress

from dozero.corpus.parts import MARKS_ONLY, WITH_LETTER, Parts, split_sentences
from dozero.corpus.repetition import count_repeated
from dozero.corpus.vocabulary import (
    ENGLISH_POLICY_PHRASES,
    ENGLISH_STOP_WORDS,
    PORTUGUESE_POLICY_PHRASES,
    PORTUGUESE_STOP_WORDS,
    sentence_terminals,
)

# A document shorter than a tweet teaches little and costs a boundary; one longer than the Bible is a collection or a dump.
FEWEST_CHARACTERS = 100
MOST_CHARACTERS = 5_000_000
TOO_SHORT = "length: too short"
TOO_LONG = "length: too long"


def judge_length(parts: Parts) -> str | None:
    """Return whether a text is too short or too long to be one document, or None."""
    if len(parts.text) < FEWEST_CHARACTERS:
        return TOO_SHORT
    return TOO_LONG if len(parts.text) > MOST_CHARACTERS else None


# --- Gopher: Rae et al. 2021, https://arxiv.org/abs/2112.11446, appendix A1.1 -----------------------------------------

FEW_WORDS = "gopher: too few words"
MANY_WORDS = "gopher: too many words"
SHORT_WORDS = "gopher: words too short"
LONG_WORDS = "gopher: words too long"
HASHES = "gopher: too many #"
ELLIPSES = "gopher: too many ellipses"
BULLETS = "gopher: too many bullets"
CUT_LINES = "gopher: too many lines end in an ellipsis"
FEW_LETTERS = "gopher: too few words with letters"
FEW_STOP_WORDS = "gopher: too few stop words"


@dataclass(frozen=True)
class GopherRules:
    """Thresholds of the quality rules; the defaults are the paper's, for English."""

    fewest_words: int = 50
    """Words that are no marks; 1 or more."""
    most_words: int = 100_000
    """The same, from above."""
    shortest_mean: float = 3
    """Mean length of these words in characters."""
    longest_mean: float = 10
    """The same, from above."""
    symbols: float = 0.1
    """# or ellipses for each word."""
    bullets: float = 0.9
    """Share of lines that begin with a bullet."""
    cut_lines: float = 0.3
    """Share of lines that end in an ellipsis."""
    words_with_letters: float = 0.8
    """Least share of words with a letter."""
    marks_are_words: bool = False
    """Count marks as words with no letter, as datatrove does; the paper's words are what stands between spaces. Counted so,
    the rule drops a third of a manual for its commas, brackets and paths."""
    fewest_stop_words: int = 2
    """Different stop words; 0 where we know none."""
    stop_words: frozenset[str] = ENGLISH_STOP_WORDS
    """Words that hardly any text of the language goes without."""


PORTUGUESE_GOPHER = GopherRules(longest_mean=13, stop_words=PORTUGUESE_STOP_WORDS)
OTHER_GOPHER = GopherRules(fewest_stop_words=0)


def judge_gopher(parts: Parts, rules: GopherRules) -> str | None:
    """Return why a text is no prose by its words, symbols and lines, or None."""
    words, kinds = parts.words, parts.word_kinds
    number = len(words) - kinds.count(MARKS_ONLY)
    if number < rules.fewest_words:
        return FEW_WORDS
    if number > rules.most_words:
        return MANY_WORDS
    mean = sum(map(len, compress(words, kinds))) / number  # MARKS_ONLY is 0: compress leaves them out
    if mean < rules.shortest_mean:
        return SHORT_WORDS
    if mean > rules.longest_mean:
        return LONG_WORDS
    reason = _judge_symbols(parts, rules)
    if reason:
        return reason
    if kinds.count(WITH_LETTER) / (len(words) if rules.marks_are_words else number) < rules.words_with_letters:
        return FEW_LETTERS
    if rules.fewest_stop_words and len(rules.stop_words.intersection(words)) < rules.fewest_stop_words:
        return FEW_STOP_WORDS
    return None


def _judge_symbols(parts: Parts, rules: GopherRules) -> str | None:
    text, number = parts.text, len(parts.words)
    if text.count("#") / number > rules.symbols:
        return HASHES
    ellipses = text.count("...") + text.count("…")
    if ellipses / number > rules.symbols:
        return ELLIPSES
    lines = text.splitlines()
    if sum(line.lstrip().startswith(("•", "-")) for line in lines) / len(lines) > rules.bullets:
        return BULLETS
    if ellipses and sum(line.rstrip().endswith(("...", "…")) for line in lines) / len(lines) > rules.cut_lines:
        return CUT_LINES
    return None


# --- C4: Raffel et al. 2020, https://arxiv.org/abs/1910.10683, section 2.2 --------------------------------------------

LOREM_IPSUM = "c4: lorem ipsum"
CURLY_BRACKET = "c4: curly bracket"
FEW_SENTENCES = "c4: too few sentences"
CITATION = re.compile(r"\[\d*\]|\[edit\]|\[citation needed\]")
C4_LINE_ENDS = (".", "?", "!", '"', "'")


@dataclass(frozen=True)
class C4Rules:
    """What makes a line good, and how many sentences good lines must have; the defaults are the paper's."""

    fewest_sentences: int = 5
    """Sentences in good lines."""
    fewest_words: int = 3
    """Words in a good line, cut at spaces."""
    longest_word: int = 1000
    """Characters in a word of a good line."""
    line_ends: tuple[str, ...] = C4_LINE_ENDS
    """How a good line ends."""
    policy_phrases: tuple[str, ...] = ENGLISH_POLICY_PHRASES
    """What a good line does not hold, lower-case; nor does it hold "javascript"."""


# Portuguese puts the full stop after the closing mark, and prints the curved ones.
PORTUGUESE_C4 = C4Rules(
    line_ends=(*C4_LINE_ENDS, "”", "’", "»"),
    policy_phrases=ENGLISH_POLICY_PHRASES + PORTUGUESE_POLICY_PHRASES,
)


def judge_c4(parts: Parts, rules: C4Rules) -> str | None:
    """Return why a text is no page of prose, or None.

    C4 takes bad lines out of a page and drops the page if too little is left. A filter here keeps or drops and never
    changes text, so bad lines only do not count.
    """
    text = parts.text
    lowered = text.lower()
    phrases = ("lorem ipsum", "javascript", *rules.policy_phrases)
    # A citation may stand in the midst of a phrase, so any bracket makes each line worth a look.
    is_suspicious = "{" in text or "[" in text or any(phrase in lowered for phrase in phrases)
    sentences = 0
    for line in map(str.strip, text.splitlines()):
        bare = CITATION.sub("", line) if "[" in line else line
        if not _is_good_line(line, bare, rules):
            continue
        if is_suspicious:
            lowered = bare.lower()
            if "lorem ipsum" in lowered:
                return LOREM_IPSUM
            if "javascript" in lowered:
                continue
            if "{" in bare:
                return CURLY_BRACKET
            if any(phrase in lowered for phrase in rules.policy_phrases):
                continue
        elif sentences >= rules.fewest_sentences:
            return None
        sentences += len(split_sentences(bare))
    return FEW_SENTENCES if sentences < rules.fewest_sentences else None


def _is_good_line(line: str, bare: str, rules: C4Rules) -> bool:
    if not bare.endswith(rules.line_ends) or bare.endswith("..."):
        return False
    words = line.split()
    return len(words) >= rules.fewest_words and (
        len(line) <= rules.longest_word or max(map(len, words)) <= rules.longest_word
    )


# --- FineWeb: Penedo et al. 2024, https://arxiv.org/abs/2406.17557, section 3.6 ---------------------------------------

BLANK = "fineweb: empty"
OPEN_LINES = "fineweb: too few lines end in punctuation"
SHORT_LINES = "fineweb: too many short lines"
SAME_CHARACTERS = "fineweb: repeated lines"
LIST = "fineweb: too many lines for its words"


@dataclass(frozen=True)
class FineWebRules:
    """Thresholds on lines; the defaults are the paper's, for English."""

    punctuated_lines: float = 0.12
    """Least share of lines that end in terminal punctuation."""
    short_lines: float = 0.67
    """Largest share of short lines."""
    short_line: int = 30
    """Characters of a short line, at most."""
    repeated_characters: float = 0.01
    """Largest share of characters in lines that came before."""
    lines_per_word: float = 0.3
    """Line feeds for each word, at most."""


# FineWeb2 switches the rule on short lines off and lets a tenth be repeated, in all languages.
PORTUGUESE_FINEWEB = FineWebRules(punctuated_lines=0.154, short_lines=1.0, repeated_characters=0.1, lines_per_word=0.23)


def judge_fineweb(parts: Parts, rules: FineWebRules) -> str | None:
    """Return why the lines of a text are not those of prose, or None."""
    lines = [line for line in parts.lines if line and not line.isspace()]
    if not lines:
        return BLANK
    ends = sentence_terminals()
    if sum(line[-1] in ends for line in lines) / len(lines) < rules.punctuated_lines:
        return OPEN_LINES
    if sum(len(line) <= rules.short_line for line in lines) / len(lines) > rules.short_lines:
        return SHORT_LINES
    feeds = len(parts.lines) - 1
    if count_repeated(lines)[1] / (len(parts.text) - feeds) > rules.repeated_characters:
        return SAME_CHARACTERS
    return LIST if feeds / len(parts.words) > rules.lines_per_word else None
