"""Check digits, against libraries that know nothing of ours."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozero.corpus.check_digits import is_card, is_cnpj, is_cns, is_cpf, is_pis, is_sao_paulo_rg, is_voter

DIGITS = st.text("0123456789", min_size=8, max_size=20)


@given(st.text("0123456789", min_size=11, max_size=11))
def test_cpf_and_pis_are_judged_as_validate_docbr_judges_them(digits):
    docbr = pytest.importorskip("validate_docbr")
    assert is_cpf(digits) == docbr.CPF().validate(digits)
    assert is_pis(digits) == (docbr.PIS().validate(digits) and len(set(digits)) > 1)


@given(st.text("0123456789", min_size=14, max_size=14))
def test_cnpj_is_judged_as_validate_docbr_judges_it(digits):
    docbr = pytest.importorskip("validate_docbr")
    assert is_cnpj(digits) == (docbr.CNPJ().validate(digits) and len(set(digits)) > 1)


@pytest.mark.parametrize(
    ("name", "judge"),
    [("CPF", is_cpf), ("CNPJ", is_cnpj), ("PIS", is_pis), ("CNS", is_cns), ("TituloEleitoral", is_voter)],
)
def test_generated_numbers_hold_and_one_changed_digit_does_not(name, judge):
    docbr = pytest.importorskip("validate_docbr")
    maker, rng, caught = getattr(docbr, name)(), random.Random(1), 0
    for _ in range(300):
        number = maker.generate()
        assert judge(number), number
        place = rng.randrange(len(number) - 1)
        other = number[:place] + str((int(number[place]) + rng.randint(1, 9)) % 10) + number[place + 1 :]
        caught += not judge(other)
    assert caught > 270


def test_the_lettered_cnpj_of_the_tax_office_holds():
    assert is_cnpj("12.ABC.345/01DE-35")  # the example that the Receita Federal published
    assert is_cnpj("12abc34501de35")
    assert not is_cnpj("12.ABC.345/01DE-53")
    assert not is_cnpj("12.ABC.345/01DE-3A")


def test_cards_are_judged_as_stdnum_judges_luhn():
    luhn = pytest.importorskip("stdnum.luhn")
    rng = random.Random(2)
    for _ in range(500):
        digits = "4" + "".join(rng.choices("0123456789", k=15))
        assert is_card(digits) == luhn.is_valid(digits)
    assert is_card("5555 5555 5555 4444")
    assert not is_card("1234 5678 9012 3452")  # Luhn holds, but nobody issues such


@given(DIGITS)
def test_any_digits_are_judged_without_error(digits):
    for judge in (is_cpf, is_cnpj, is_pis, is_cns, is_voter, is_sao_paulo_rg, is_card):
        assert judge(digits) in (True, False)
