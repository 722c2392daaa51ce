"""What a vocabulary does to a text: how much each token says, how many words it cuts, what it pays beside another."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dozero.errors import DataError, ModelMismatch
from dozero.tokenizer.files import read_tokenizer_json
from dozero.tokenizer.tokenizer import Tokenizer

Encode = Callable[[Sequence[str]], Iterable[Sequence[int] | NDArray[np.int32]]]
_WORD = re.compile(r" ?[^\W\d_]+")  # with the space before it, as it stands in running text


@dataclass(frozen=True)
class Vocabulary:
    """Anything that encodes texts: a tokenizer of ours or a foreign tokenizer.json."""

    name: str
    vocab_size: int
    encode_many: Encode


@dataclass(frozen=True)
class Figures:
    """What a vocabulary makes of a text."""

    name: str
    vocab_size: int
    bytes: int
    tokens: int
    words: int
    """Runs of letters."""
    words_split: int
    """Those cut into two tokens or more."""
    word_tokens: int
    """Tokens of all words."""
    tokens_used: int
    """Different tokens that the text needs."""

    @property
    def bytes_per_token(self) -> float:
        """How much text a token stands for."""
        return self.bytes / self.tokens

    @property
    def split_share(self) -> float:
        """Share of the words that are cut."""
        return self.words_split / self.words if self.words else 0.0

    @property
    def fertility(self) -> float:
        """Tokens per word; 1 means that every word is a token."""
        return self.word_tokens / self.words if self.words else 0.0

    @property
    def used_share(self) -> float:
        """Share of the vocabulary that occurs in the text."""
        return self.tokens_used / self.vocab_size

    def price(self, other: Figures) -> float:
        """Tokens that the same text takes here for each token that it takes in the other vocabulary."""
        return self.tokens / other.tokens


def measure_vocabulary(vocabulary: Vocabulary, texts: Sequence[str]) -> Figures:
    """Return the figures of a vocabulary on some texts.

    >>> from dozero.tokenizer.tokenizer import bpe_tokenizer
    >>> t = bpe_tokenizer([(72, 90), (74, 264), (265, 72)])  # as, cas, casa
    >>> figures = measure_vocabulary(of_tokenizer("tiny", t), ["casa casas"])
    >>> figures.tokens, figures.words, figures.words_split, figures.fertility
    (4, 2, 1, 2.0)
    """
    words = Counter(word for text in texts for word in _WORD.findall(text))
    if not texts:
        raise DataError("no text to compare vocabularies on")
    counts = np.zeros(vocabulary.vocab_size, dtype=np.int64)
    for ids in vocabulary.encode_many(texts):
        counts += np.bincount(ids, minlength=len(counts))
    pieces = np.array([len(ids) for ids in vocabulary.encode_many(list(words))], dtype=np.int64)
    times = np.array(list(words.values()), dtype=np.int64)
    return Figures(
        vocabulary.name,
        vocabulary.vocab_size,
        bytes=sum(len(text.encode()) for text in texts),
        tokens=int(counts.sum()),
        words=int(times.sum()),
        words_split=int(times[pieces > 1].sum()),
        word_tokens=int((times * pieces).sum()),
        tokens_used=int((counts > 0).sum()),
    )


def of_tokenizer(name: str, tokenizer: Tokenizer) -> Vocabulary:
    """Return a tokenizer of ours as a vocabulary."""
    return Vocabulary(name, tokenizer.vocab_size, tokenizer.encode_many)


def open_vocabulary(file: Path) -> Vocabulary:
    """Return the vocabulary of any tokenizer.json, ours or not, named by its folder (a file of another name by that)."""
    name = file.resolve().parent.name if file.name == "tokenizer.json" else file.name
    try:
        return of_tokenizer(name, read_tokenizer_json(file))
    except ModelMismatch:
        return _foreign(name, file)


def _foreign(name: str, file: Path) -> Vocabulary:
    from tokenizers import Tokenizer as LibraryTokenizer

    try:
        library = LibraryTokenizer.from_file(str(file))
    except Exception as error:  # noqa: BLE001 - the library raises nothing narrower
        raise ModelMismatch(f"not a tokenizer.json that tokenizers opens ({error})", where=file) from None
    library.no_truncation()
    library.no_padding()
    library.encode_special_tokens = True

    def encode_many(texts: Sequence[str]) -> list[list[int]]:
        return [encoding.ids for encoding in library.encode_batch_fast(texts, add_special_tokens=False)]

    return Vocabulary(name, library.get_vocab_size(), encode_many)
