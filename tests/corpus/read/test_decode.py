"""Bytes become the text they were, or are refused; nothing is replaced silently."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozero.corpus.read.decode import decode_text, find_bom, find_declared, mend
from dozero.errors import DataError

TEXT = "A ação do coração é “não” – à luz do avô, ª º ½."


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_each_encoding_gives_the_text_back(encoding):
    marks = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}
    assert decode_text(marks.get(encoding, b"") + TEXT.encode(encoding)) == TEXT


def test_latin1_is_read_as_windows_1252_reads_it():
    plain = "Instalação: não há ligação com a máquina do avô."
    assert decode_text(plain.encode("latin-1")) == plain


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_utf8_is_never_touched(text):
    if not find_bom(text.encode()):
        assert decode_text(text.encode()) == text


@given(st.binary(max_size=200))
def test_any_bytes_give_text_or_a_refusal(data):
    with contextlib.suppress(DataError):
        decode_text(data).encode()


def test_stray_bytes_in_utf8_are_mended_and_the_rest_stays():
    glued = "coração, ação, não, mãe, avó e ".encode() + "é".encode("cp1252") + " só".encode()
    assert decode_text(glued) == "coração, ação, não, mãe, avó e é só"
    assert mend("limpo") == "limpo"


@pytest.mark.parametrize("declared", ["windows-1251", "koi8-r", "iso-8859-7", "shift_jis"])
def test_a_declared_charset_is_honoured(declared):
    text = {
        "windows-1251": "Привет, мир",
        "koi8-r": "Привет, мир",
        "iso-8859-7": "Καλημέρα",
        "shift_jis": "こんにちは",
    }[declared]
    assert decode_text(text.encode(declared), declared) == text
    page = f'<html><head><meta charset="{declared}"></head>'.encode()
    assert find_declared(page) == declared


@pytest.mark.parametrize(
    "data", [b"a\0b", b"\x81\x8d\x8f" * 20, "Привет, дорогой мир".encode("cp1251"), b"\xff\xfea\xd8"]
)
def test_what_is_no_text_we_know_is_refused(data):
    with pytest.raises(DataError):
        decode_text(data)
