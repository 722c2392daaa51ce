"""Cleaning repairs what is broken, leaves what is good, and has nothing left to do the second time."""

import unicodedata

import ftfy
import ftfy.bad_codecs
import pytest
from ftfy.chardata import CHARMAP_ENCODINGS
from hypothesis import example, given
from hypothesis import strategies as st

from dozero.corpus.clean import RARE_FOLLOWERS, RARE_LEADS, clean_text, find_mojibake_pattern

PORTUGUESE = [
    "O coração não é à prova d'água: avô, avó, pôr, açaí, lingüiça, às três.",
    "“Já é tarde”, disse a mãe — e ele: ‘Não!’…",
    "A 1ª lição e o 2º exercício, a 30 °C, custam R$ 10,50 ou € 2 (50% ± 5).",
    "Olá 👋🏽, família 👨‍👩‍👧: ☀️ ñ ß ł Ελλάδα Москва 日本語 हिन्दी",
    "NÃO HÁ AMANHÃ PARA A IRMÃ",
]
texts = st.text() | st.text(
    alphabet="aÃ§£©Ââ€œ”™ \n\t\r\x80\x85\x9d\u00a0\u00ad\u200b\u2028\u0301\ufeff√├º¡Ð", max_size=40
)


@given(texts)
@example("Ã\u00ad§")  # what is left when the soft hyphen goes is mojibake
def test_cleaning_twice_is_cleaning_once(text):
    assert clean_text(clean_text(text)) == clean_text(text)


@given(texts)
def test_what_is_left_is_composed_and_can_be_written(text):
    cleaned = clean_text(text)
    assert unicodedata.is_normalized("NFC", cleaned)
    assert cleaned.encode().decode() == cleaned
    assert not any(unicodedata.category(c) in ("Cc", "Zl", "Zp") and c not in "\n\t" for c in cleaned)
    assert cleaned.splitlines() == (cleaned.split("\n") if cleaned else [])


@pytest.mark.parametrize("text", PORTUGUESE)
def test_good_text_stays_as_it_is(text):
    assert clean_text(text) == text


@given(st.text(st.characters(categories=["L", "N", "P", "Zs"], max_codepoint=0x17F), max_size=60))
def test_where_nothing_is_suspected_ftfy_would_change_nothing(text):
    if not find_mojibake_pattern().search(text) and not any(f"{lead} " in text for lead in "ÂÃÅÎÐÙâã"):
        assert ftfy.fix_encoding(text) == text


@pytest.mark.parametrize("encoding", ["latin-1", "sloppy-windows-1252", "macroman", "cp437"])
@pytest.mark.parametrize("text", PORTUGUESE[:1])
def test_utf8_read_in_a_wrong_encoding_is_repaired(text, encoding):
    assert clean_text(text.encode().decode(encoding)) == text


def test_one_broken_line_among_good_ones_is_repaired():
    assert clean_text("São Paulo “bom”\nSÃ£o Paulo\ncafé") == "São Paulo “bom”\nSão Paulo\ncafé"


def test_every_encoding_of_ftfy_is_looked_for():
    assert sorted(RARE_LEADS + RARE_FOLLOWERS) == sorted(CHARMAP_ENCODINGS)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("a\r\nb\rc\x0cd\u2028e", "a\nb\nc\nd\ne"),
        ("a  \nb\t\nc ", "a\nb\nc"),
        ("\n\n  a\n\n\n\n\n\nb\n\n", "  a\n\n\nb"),
        ("\ufeffzero\u200b largura\u00ad \x00\x1b", "zero largura"),
        ("R$\u00a01\u202f000", "R$ 1 000"),
        ("corac\u0327a\u0303o", "coração"),
        ("\x93aspas\x94 de 1995\x85", "“aspas” de 1995…"),
        ("meio \ud83d par", "meio  par"),
        ("", ""),
        (" \n\t\n ", ""),
    ],
)
def test_tidying(text, cleaned):
    assert clean_text(text) == unicodedata.normalize("NFC", cleaned)
