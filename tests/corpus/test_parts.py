"""The parts of a text: each loses nothing, and hashes are the same for ever."""

import subprocess
import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dozero.corpus.parts import NO_WORD, Parts, hash_word, split_sentences

TEXT = 'O guarda-chuva custa R$ 1.234,50, disse a d\'água. "Caro!"\n\nE agora?'


def test_words_of_portuguese_and_english_stay_whole():
    assert Parts(TEXT).words[:6] == ["O", "guarda-chuva", "custa", "R", "$", "1.234,50"]
    assert "d'água" in Parts(TEXT).words
    assert Parts("Don't stop, it's 3.5 km").words == ["Don't", "stop", ",", "it's", "3.5", "km"]


@given(st.text())
def test_words_hold_every_character_but_space(text):
    assert "".join(Parts(text).words) == "".join(text.split())


@given(st.text())
def test_lines_paragraphs_and_sentences_are_pieces_of_the_text(text):
    parts = Parts(text)
    assert "\n".join(parts.lines) == text
    assert all(paragraph in text for paragraph in parts.paragraphs)
    assert all(sentence in text for sentence in parts.sentences)


@given(st.text(), st.text())
def test_hashes_look_past_case_and_marks_and_at_nothing_else(a, b):
    hashes = Parts(a).word_hashes
    assert hashes.dtype == np.uint64
    assert NO_WORD not in hashes
    words = [w.lower() for w in Parts(a).words if any(map(str.isalnum, w))]
    assert hashes.tolist() == [hash_word(w) for w in words]
    assert Parts(f"{a} {b}").word_hashes.tolist()[: len(hashes)] == hashes.tolist()


def test_a_hash_is_that_of_any_other_process():
    code = "from dozero.corpus.parts import hash_word; print(hash_word('Coração'), hash_word('...'))"
    told = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONHASHSEED": seed, "PATH": "/usr/bin"}, check=True).stdout for seed in "12"]  # fmt: skip
    assert told == [f"{hash_word('coração')} 0\n"] * 2


def test_sentences_end_where_readers_end_them():
    assert split_sentences("Sim. Não! Talvez? Fim") == ["Sim.", "Não!", "Talvez?", "Fim"]
    assert split_sentences("Vale 3.5 vezes, i. e. mais.") == ["Vale 3.5 vezes, i. e. mais."]
    assert Parts(TEXT).sentences[-1] == "E agora?"
