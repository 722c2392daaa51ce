"""Languages are told apart, by most of the text and not by its beginning."""

import pytest

from dozero.corpus.language import detect_language

TEXTS = {
    "pt": "A instalação do sistema começa quando o computador lê o disco; depois o programa pergunta o idioma e o teclado.",
    "en": "The installation of the system starts when the computer reads the disk; then the program asks for the language.",
    "es": "La instalación del sistema empieza cuando el ordenador lee el disco; después el programa pregunta el idioma.",
    "de": "Die Installation des Systems beginnt, wenn der Rechner die Platte liest; danach fragt das Programm nach der Sprache.",
}


@pytest.mark.parametrize("code", TEXTS)
def test_a_sentence_is_enough(code):
    found, share = detect_language(TEXTS[code])
    assert found == code
    assert 0.4 < share <= 1


def test_most_of_the_text_decides():
    mixed = "\n".join([TEXTS["en"]] * 2 + [TEXTS["pt"]] * 7)
    code, share = detect_language(mixed)
    assert code == "pt"
    assert share < 0.95
    assert detect_language("\n".join([TEXTS["pt"]] * 2 + [TEXTS["en"]] * 7))[0] == "en"


@pytest.mark.parametrize("text", ["", "   ", "12345 67890", "!!! ???"])
def test_what_has_no_letters_is_in_no_language(text):
    assert detect_language(text)[1] <= 0.5


def test_a_long_text_costs_no_more_than_a_sample_of_it():
    import time

    short, long = TEXTS["pt"] * 50, (TEXTS["pt"] + " ") * 20_000
    detect_language(short)
    took = []
    for text in (short, long):
        began = time.process_time()
        assert detect_language(text)[0] == "pt"
        took.append(time.process_time() - began)
    assert took[1] < 100 * took[0] + 0.5  # it is 400 times as long
