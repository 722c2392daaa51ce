"""How surprised a model is at some documents: the figures, in units that compare."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Surprise:
    """Total negative log-probability of some documents, and what they amount to."""

    nats: float
    tokens: int
    """Tokens of text, the end of each document counted as one."""
    documents: int
    characters: int
    """Characters of text, the end of each document counted as one."""
    bytes: int
    """Bytes of text in UTF-8, without the ends."""

    @property
    def nats_per_token(self) -> float:
        """Mean surprise at a token, ends included: the loss of training. Compares models of one tokenizer only."""
        return self.nats / self.tokens

    @property
    def bits_per_character(self) -> float:
        """Bits to predict one character, ends included: log2 of how many it hesitates between."""
        return self.nats / math.log(2) / self.characters

    @property
    def bits_per_byte(self) -> float:
        """Bits per byte of text: the figure that compares any two models on the same text."""
        return self.nats / math.log(2) / self.bytes

    @property
    def nats_per_document(self) -> float:
        """Mean surprise of a whole document; for a list of words, nats per word."""
        return self.nats / self.documents
