"""Whether the check digits of a document's number hold; punctuation is passed over.

Numbers in the examples are invented: their check digits were computed, nobody is known to hold them.
"""

from __future__ import annotations

from collections.abc import Iterable

# Weights as the issuers publish them: CPF and CNPJ by the Receita Federal (letters of a CNPJ count as their ASCII code
# less 48, Instrução Normativa RFB 2.229/2024), PIS by the Caixa, CNS by the SUS, voter's number by the TSE (Resolução
# 23.659/2021), RG by the state of São Paulo.
CPF_WEIGHTS = (11, 10, 9, 8, 7, 6, 5, 4, 3, 2)
CNPJ_WEIGHTS = (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)
PIS_WEIGHTS = (3, 2, 9, 8, 7, 6, 5, 4, 3, 2)
VOTER_WEIGHTS = (2, 3, 4, 5, 6, 7, 8, 9)
STATES_WITH_ZERO_AS_ONE = ("01", "02")
LAST_STATE = 28  # 27 states and the voters abroad
# First and last prefix of an issuer and the lengths of its numbers. Elo and Hipercard do not publish theirs: these are
# the ones in common use. Maestro is left out, as its prefixes and lengths take in a third of all numbers.
ISSUERS = (
    ("34", "34", (15,)),
    ("37", "37", (15,)),
    ("300", "305", (14,)),
    ("3095", "3095", (14,)),
    ("36", "36", (14,)),
    ("38", "39", (14,)),
    ("3528", "3589", (16, 17, 18, 19)),
    ("384100", "384100", (16, 19)),
    ("384140", "384140", (16, 19)),
    ("384160", "384160", (16, 19)),
    ("4", "4", (13, 16, 19)),
    ("51", "55", (16,)),
    ("2221", "2720", (16,)),
    ("5041", "5041", (16,)),
    ("506699", "506778", (16,)),
    ("509000", "509999", (16,)),
    ("6011", "6011", (16, 17, 18, 19)),
    ("606282", "606282", (16, 19)),
    ("62", "62", (16, 17, 18, 19)),
    ("627780", "627780", (16,)),
    ("636297", "636297", (16,)),
    ("636368", "636368", (16,)),
    ("637095", "637095", (16,)),
    ("637568", "637568", (16,)),
    ("637599", "637599", (16,)),
    ("637609", "637609", (16,)),
    ("637612", "637612", (16,)),
    ("644", "649", (16, 17, 18, 19)),
    ("65", "65", (16, 17, 18, 19)),
)


def is_cpf(text: str) -> bool:
    """Return whether the eleven digits are a person's taxpayer number.

    >>> is_cpf("529.982.247-25"), is_cpf("529.982.247-24"), is_cpf("111.111.111-11")
    (True, False, False)
    """
    values = _digits(text)
    if len(values) != 11 or len(set(values)) == 1:
        return False
    return values[9] == _modulo_11(values[:9], CPF_WEIGHTS[1:]) and values[10] == _modulo_11(values[:10], CPF_WEIGHTS)


def is_cnpj(text: str) -> bool:
    """Return whether the fourteen digits, or letters and two digits, are a company's number.

    >>> is_cnpj("11.222.333/0001-81"), is_cnpj("12.ABC.345/01DE-35"), is_cnpj("12.ABC.345/01DE-36")
    (True, True, False)
    """
    characters = [c for c in text.upper() if c.isascii() and c.isalnum()]
    if len(characters) != 14 or len(set(characters)) == 1 or not "".join(characters[12:]).isdigit():
        return False
    values = [ord(c) - ord("0") for c in characters]
    first, second = _modulo_11(values[:12], CNPJ_WEIGHTS[1:]), _modulo_11(values[:13], CNPJ_WEIGHTS)
    return values[12:] == [first, second]


def is_pis(text: str) -> bool:
    """Return whether the eleven digits are a worker's number (PIS, PASEP, NIS, NIT).

    >>> is_pis("120.12345.67-2"), is_pis("120.12345.67-3")
    (True, False)
    """
    values = _digits(text)
    return len(values) == 11 and len(set(values)) > 1 and values[10] == _modulo_11(values[:10], PIS_WEIGHTS)


def is_cns(text: str) -> bool:
    """Return whether the fifteen digits are a number of the national health card.

    >>> is_cns("700 0000 0000 0005"), is_cns("700 0000 0000 0006")
    (True, False)
    """
    values = _digits(text)
    if len(values) != 15 or values[0] not in (1, 2, 7, 8, 9):
        return False
    weighed = [value * weight for value, weight in zip(values, range(15, 0, -1), strict=True)]
    if values[0] in (1, 2):  # made from a PIS: 000 before the check digit, 001 where that digit would have been 10
        return values[11:14] == [0, 0, int(sum(weighed[:11]) % 11 == 1)] and sum(weighed) % 11 == 0
    return sum(weighed) % 11 == 0


def is_voter(text: str) -> bool:
    """Return whether the twelve digits are a voter's number (título de eleitor).

    >>> is_voter("1234 5678 0191"), is_voter("1234 5678 0192")
    (True, False)
    """
    values = _digits(text)
    if len(values) != 12:
        return False
    state = f"{values[8]}{values[9]}"
    if not 1 <= int(state) <= LAST_STATE:
        return False
    first, second = values[10:]
    return first in _voter_digits(values[:8], VOTER_WEIGHTS, state) and second in _voter_digits(
        [*values[8:10], first], (7, 8, 9), state
    )


def is_sao_paulo_rg(text: str) -> bool:
    """Return whether eight digits and a ninth or X are an identity card's number as the state of São Paulo gives them.

    >>> is_sao_paulo_rg("24.678.131-2"), is_sao_paulo_rg("24.678.131-7")
    (True, False)
    """
    characters = [c for c in text.upper() if c.isdigit() or c == "X"]
    if len(characters) != 9 or "X" in characters[:8]:
        return False
    total = sum(int(c) * weight for c, weight in zip(characters[:8], range(2, 10), strict=True))
    return characters[8] == "0123456789X0"[11 - total % 11]


def is_card(text: str) -> bool:
    """Return whether the digits are a payment card's: a prefix and a length of an issuer, and Luhn's check digit.

    >>> is_card("4111 1111 1111 1111"), is_card("4111 1111 1111 1112"), is_card("9111 1111 1111 1110")
    (True, False, False)
    """
    values = _digits(text)
    number = "".join(map(str, values))
    if len(set(number)) < 2 or not any(
        len(number) in lengths and first <= number[: len(first)] <= last for first, last, lengths in ISSUERS
    ):
        return False
    doubled = [sum(divmod(2 * value, 10)) for value in values[-2::-2]]
    return (sum(values[::-2]) + sum(doubled)) % 10 == 0


def _digits(text: str) -> list[int]:
    return [int(c) for c in text if c in "0123456789"]


def _modulo_11(values: Iterable[int], weights: Iterable[int]) -> int:
    rest = sum(value * weight for value, weight in zip(values, weights, strict=True)) % 11
    return 0 if rest < 2 else 11 - rest


def _voter_digits(values: Iterable[int], weights: Iterable[int], state: str) -> tuple[int, ...]:
    """Return the check digits that hold: one, or two where issuers and programs disagree on what 0 becomes."""
    rest = sum(value * weight for value, weight in zip(values, weights, strict=True)) % 11
    if rest == 0 and state in STATES_WITH_ZERO_AS_ONE:
        return (0, 1)
    return (rest % 10,)
