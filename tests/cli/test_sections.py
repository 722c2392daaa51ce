"""Sections of hello are numbered and named."""

from dozero.cli.display import Display
from dozero.cli.sections import head


def test_a_section_has_its_number_and_its_name_in_the_language(capsys):
    head(Display("pt"), 1, "data")
    head(Display("en"), 2, "tokens")
    assert capsys.readouterr().out == "\n1  Dados\n\n2  Tokens\n"
