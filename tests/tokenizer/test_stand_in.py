"""The printable names of bytes are those of the library."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import pre_tokenizers

from dozero.tokenizer.stand_in import bytes_of, printable


@given(st.text(min_size=1))
def test_a_text_has_the_name_that_the_library_gives_it(text):
    split = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(text)
    assert printable(text.encode()) == "".join(name for name, _ in split)


@given(st.binary())
def test_a_name_gives_its_bytes_back(token):
    assert bytes_of(printable(token)) == token


def test_the_names_of_the_bytes_are_the_librarys_alphabet():
    assert {printable(bytes([b])) for b in range(256)} == set(pre_tokenizers.ByteLevel.alphabet())
    with pytest.raises(KeyError):
        bytes_of("日")
