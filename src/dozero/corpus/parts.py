"""The parts of a text that filters ask for, each computed once: words, lines, paragraphs, sentences, language.

Words are cut by one regular expression. datatrove cuts them with spaCy's tables of exceptions, over a hundred times
slower. What differs in Portuguese and English: spaCy makes every mark of a run such as `").` a token of its own (here
the run is one), cuts some contractions (`do` `n't`) and keeps URLs whole. Scripts that put no space between words
(Chinese, Thai) give one long word for each run of letters: rules on words do not fit them.

Sentences end at . ? ! or … before space and no lower-case letter, so an abbreviation before a capital (Sr. Silva) ends
one too much. Rules only count sentences; where each one really ends is a job for Punkt, many times slower.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from dozero.corpus.document import Document
from dozero.corpus.language import detect_language
from dozero.corpus.vocabulary import punctuation

# A word: letters, digits and _, with - ' ’ inside, and . , inside a number; else a run of marks.
WORD = re.compile(r"\w+(?:[-'’]\w+|(?<=\d)[.,]\d+)*|[^\w\s]+")
PARAGRAPH_BREAK = re.compile(r"\n{2,}")
CLOSING = "[\"'”’»)\\]]"
SENTENCE_END = re.compile(rf"(?:(?<=[.?!…])|(?<=[.?!…]{CLOSING}))\s+(?![a-zß-öø-ÿ])")
# What was found out about a word is kept for the next document: this many words, since memory must not grow, and none
# so long that it will hardly come again.
CACHED_WORDS = 1 << 16
LONGEST_CACHED = 40

NO_WORD = 0
MARKS_ONLY, NO_LETTER, WITH_LETTER = range(3)


class Parts:
    """A text and its parts, computed on first use.

    >>> parts = Parts('O guarda-chuva custa 1.234,50. "Viu?"')
    >>> parts.words
    ['O', 'guarda-chuva', 'custa', '1.234,50', '.', '"', 'Viu', '?"']
    >>> parts.sentences
    ['O guarda-chuva custa 1.234,50.', '"Viu?"']
    """

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def words(self) -> list[str]:
        """Words as they are written, and runs of marks; together all that is not white space."""
        return WORD.findall(self.text)

    @cached_property
    def lines(self) -> list[str]:
        """What stands between line feeds, empty lines too."""
        return self.text.split("\n")

    @cached_property
    def paragraphs(self) -> list[str]:
        """What stands between blank lines."""
        return PARAGRAPH_BREAK.split(self.text.strip())

    @cached_property
    def sentences(self) -> list[str]:
        """Sentences of all lines; a line feed ends one, too."""
        return [sentence for line in map(str.strip, self.lines) if line for sentence in split_sentences(line)]

    @cached_property
    def word_hashes(self) -> NDArray[np.uint64]:
        """A 64-bit hash of each lower-cased word, runs of marks left out: the same on every machine."""
        hashes = np.fromiter(map(_HASHES.__getitem__, self.words), np.uint64, len(self.words))
        return hashes[hashes != NO_WORD]

    @cached_property
    def word_kinds(self) -> bytes:
        """For each word a byte: MARKS_ONLY, NO_LETTER or WITH_LETTER."""
        return bytes(map(_KINDS.__getitem__, self.words))

    @cached_property
    def language(self) -> tuple[str, float]:
        """Code of the language most of the text is in, and the share of it that is."""
        return detect_language(self.text)


Filter = Callable[[Document, Parts], str | None]
"""Returns None to keep a document, or the reason to drop it."""


def split_sentences(line: str) -> list[str]:
    """Return the sentences of one line.

    >>> split_sentences('Custa R$ 3.50 a dúzia. "Caro!" disse ela. (E foi.) Fim')
    ['Custa R$ 3.50 a dúzia.', '"Caro!" disse ela.', '(E foi.)', 'Fim']
    """
    return SENTENCE_END.split(line)


def hash_word(word: str) -> int:
    """Return 64 bits of BLAKE2b of the lower-cased word, or 0 for a run of marks."""
    if not any(map(str.isalnum, word)):
        return NO_WORD
    digest = blake2b(word.lower().encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") or 1


def classify_word(word: str) -> int:
    """Return MARKS_ONLY for punctuation, WITH_LETTER if the word has one, else NO_LETTER (numbers, symbols)."""
    if punctuation().issuperset(word):
        return MARKS_ONLY
    return WITH_LETTER if any(map(str.isalpha, word)) else NO_LETTER


class _Cache(dict[str, int]):
    """What a function says of the words met in this process; emptied when full."""

    def __init__(self, function: Callable[[str], int]) -> None:
        self.function = function

    def __missing__(self, word: str) -> int:
        value = self.function(word)
        if len(word) <= LONGEST_CACHED:
            if len(self) >= CACHED_WORDS:
                self.clear()
            self[word] = value
        return value


_HASHES = _Cache(hash_word)
_KINDS = _Cache(classify_word)
