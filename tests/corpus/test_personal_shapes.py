"""Words beside a number tell what it is; shapes name only kinds that there are."""

import pytest

from dozero.corpus.personal import KINDS
from dozero.corpus.personal_shapes import ASKED, CERTAIN, LIKELY, OTHER, SHAPES, name_kind


@pytest.mark.parametrize(
    ("text", "kind"),
    [("meu CPF é 123", "cpf"), ("ligue para 123", "phone"), ("my ZIP code is 123", "cep"), ("o pedido 123", OTHER)],
)
def test_the_words_before_a_number_name_its_kind(text, kind):
    start = text.index("123")
    assert name_kind(text, start, start + 3) == kind


def test_a_word_too_far_away_says_nothing():
    text = "CPF" + " e assim por diante" * 5 + " 123"
    assert name_kind(text, len(text) - 3, len(text)) != "cpf"


def test_shapes_are_of_known_kinds_and_trusts():
    assert {shape.kind for shape in SHAPES} <= set(KINDS)
    assert {shape.trust for shape in SHAPES} == {CERTAIN, LIKELY, ASKED}
