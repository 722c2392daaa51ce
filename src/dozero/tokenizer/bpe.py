"""Byte-level BPE, written to be read from top to bottom: how text becomes tokens, and where the tokens come from.

1. Text is cut into words; no token ever reaches from one word into the next.
2. A word is the bytes of its UTF-8, so 256 tokens are enough to write any text in any language.
3. Training joins the pair of neighbouring tokens that is seen most into a new token, again and again.
4. Encoding a new text makes the same joins in the same order.

(Gage 1994; Sennrich et al. 2016; on bytes: Radford et al. 2019.) Merges and ids are exactly those of the library
`tokenizers`, which is faster and does the daily work in `tokenizer.py`; benchmarks/tokenizer.py compares the two.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from math import inf

Pair = tuple[int, int]

# Qwen's pattern, because llama.cpp knows it by name: a model folder then needs no code of its own anywhere. In order:
# English contractions; letters with the one sign or space before them; one digit; signs; ends of lines; other spaces.
PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# The order in which the 256 bytes get their ids: GPT-2 put first those that Latin-1 prints, and everyone kept to it.
_PRINTED = (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))
BYTE_ORDER = bytes((*_PRINTED, *(b for b in range(256) if b not in _PRINTED)))


def split_words(text: str) -> list[str]:
    """Return the text in words, each with the space before it; joined they are the text again.

    >>> split_words("Deu-lhe 12 maçãs, d'água!")
    ['Deu', '-lhe', ' ', '1', '2', ' maçãs', ',', ' d', "'água", '!']
    """
    # The standard library's re does not know \p{L}, any letter. (The library has a table of its own for that: letters
    # that Unicode adopted after 2024 may be signs to one of the two.)
    import regex

    return regex.findall(PATTERN, text)


@dataclass(frozen=True)
class Bpe:
    """What training found: the bytes of each token, and which pair makes which token, in the order of learning."""

    tokens: tuple[bytes, ...]
    merges: dict[Pair, int]

    def encode(self, text: str) -> list[int]:
        """Return the ids of the text: in each word the pair learned first is joined first, at its leftmost place.

        >>> bpe = train_bpe(["casa asa"], vocab_size=259)
        >>> [bpe.tokens[i].decode() for i in bpe.encode("casa rasa")]
        ['casa', ' ', 'r', 'asa']
        """
        rank = {pair: i for i, pair in enumerate(self.merges)}
        id_of = {token: i for i, token in enumerate(self.tokens) if len(token) == 1}
        ids: list[int] = []
        for text_word in split_words(text):
            word = [id_of[bytes([b])] for b in text_word.encode()]
            while len(word) > 1:
                ranks = [rank.get(pair, inf) for pair in pairwise(word)]
                at = min(range(len(ranks)), key=ranks.__getitem__)
                if ranks[at] == inf:
                    break
                word[at : at + 2] = [self.merges[word[at], word[at + 1]]]
            ids += word
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of the ids. Only all the bytes together are text: a character may lie across two tokens.

        >>> bpe = train_bpe(["casa"], vocab_size=257)
        >>> bpe.encode("ã"), bpe.decode(bpe.encode("ã")), bpe.decode(bpe.encode("ã")[:1])
        ([127, 96], 'ã', '\N{REPLACEMENT CHARACTER}')
        """
        return b"".join(self.tokens[i] for i in ids).decode(errors="replace")


def train_bpe(texts: Iterable[str], vocab_size: int, specials: int = 0, min_count: int = 1) -> Bpe:
    """Return the BPE learned from the texts. Ids: `specials` without bytes, then the 256 bytes, then what was joined.

    In "casa asa" the pairs a+s and s+a are seen twice each. Of equals the pair with the lower ids comes first: a+s.

    >>> train_bpe(["casa asa"], vocab_size=259).tokens[256:]
    (b'as', b'asa', b'casa')
    """
    times = Counter(word for text in texts for word in split_words(text))  # a word seen often is worked on once
    tokens = [b""] * specials + [bytes([b]) for b in BYTE_ORDER]
    id_of = {token: i for i, token in enumerate(tokens)}
    words = [[id_of[bytes([b])] for b in word.encode()] for word in times]
    weights, counts, merges = list(times.values()), Counter[Pair](), dict[Pair, int]()
    queue: list[tuple[int, Pair, set[int]]] = []  # -count, pair, numbers of the words that hold it
    changes = [(i, pair, 1) for i, word in enumerate(words) for pair in pairwise(word)]
    while len(tokens) < vocab_size:
        seen_in: defaultdict[Pair, set[int]] = defaultdict(set)
        for i, pair, change in changes:
            counts[pair] += change * weights[i]
            if change > 0:
                seen_in[pair].add(i)
        for pair, places in seen_in.items():
            heapq.heappush(queue, (-counts[pair], pair, places))
        # Later joins may have taken places from a pair in the queue, never given: it goes back with the count of now.
        while queue and -queue[0][0] != counts[queue[0][1]]:
            _, pair, places = heapq.heappop(queue)
            heapq.heappush(queue, (-counts[pair], pair, places))
        if not queue or -queue[0][0] < min_count:
            break
        _, pair, places = heapq.heappop(queue)
        merges[pair] = len(tokens)
        tokens.append(tokens[pair[0]] + tokens[pair[1]])
        changes = [(i, *change) for i in places for change in merge_word(words[i], pair, merges[pair])]
    return Bpe(tuple(tokens), merges)


def merge_word(word: list[int], pair: Pair, new: int) -> list[tuple[Pair, int]]:
    """Put `new` for each `pair` in the word, in place; return which pairs around it are gone (-1) and came (+1).

    >>> word = [1, 2, 3, 1, 2]; merge_word(word, (1, 2), 9), word
    ([((2, 3), -1), ((9, 3), 1), ((3, 1), -1), ((3, 9), 1)], [9, 3, 9])
    """
    changes: list[tuple[Pair, int]] = []
    i = 0
    while i < len(word) - 1:
        if (word[i], word[i + 1]) == pair:
            if i > 0:
                changes += [((word[i - 1], pair[0]), -1), ((word[i - 1], new), 1)]
            word[i : i + 2] = [new]
            if i + 1 < len(word):
                changes += [((pair[1], word[i + 1]), -1), ((new, word[i + 1]), 1)]
        i += 1
    return changes
