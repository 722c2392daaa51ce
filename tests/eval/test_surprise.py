"""The units of a surprise, by values that are known."""

import math

import pytest

from dozero.eval.surprise import Surprise


def test_units_by_hand():
    """16 bits for two words of 3 and 3 letters, one of them of two bytes: 8 characters with the ends, 7 bytes.

    A tokenizer with a token for each word, and one for the end, would take 4 tokens.
    """
    surprise = Surprise(nats=16 * math.log(2), tokens=4, documents=2, characters=8, bytes=7)
    assert surprise.bits_per_character == pytest.approx(2)
    assert surprise.bits_per_byte == pytest.approx(16 / 7)
    assert surprise.nats_per_document == pytest.approx(8 * math.log(2))
    assert surprise.nats_per_token == pytest.approx(4 * math.log(2))
