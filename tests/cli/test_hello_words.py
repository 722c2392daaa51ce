"""What hello says of words; the whole of it is held in test_hello.py."""

from dozero.cli.hello_words import _three_words


def test_three_common_words_of_six_letters_or_any():
    assert _three_words(iter(["de", "janela", "casa", "mercado", "feliz", "cozinha", "bonito"])) == [
        "janela",
        "mercado",
        "cozinha",
    ]
    assert _three_words(iter(["de", "um"])) == ["de", "um"]
