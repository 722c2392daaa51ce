"""Pages lose their markup and nothing else; scripts, entities and networks do nothing."""

import pytest

from dozero.corpus.read.html import html_text, page_text, parse_html, strip_tags

pytest.importorskip("trafilatura")
PAGE = """<html><head><title>Guia</title><script>var x = 'não';</script></head><body><nav>Menu</nav><article><h1>Guia</h1>
<p>A instalação começa aqui, com calma &amp; paciência.</p><p>Depois vem o resto da história, que é bem longa e detalhada.</p>
</article></body></html>"""


def test_the_main_text_stays_under_its_title():
    text = html_text(PAGE.encode())
    assert "A instalação começa aqui, com calma & paciência." in text
    assert "não" not in text
    assert "<" not in text
    assert text.count("Guia") == 1


def test_all_of_a_chapter_stays_in_order():
    assert page_text("<p>um</p><table><tr><td>dois</td><td>três</td></tr></table>".encode()).split() == [
        "um",
        "dois",
        "três",
    ]
    assert page_text(b"") == ""


@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-1", "windows-1252"])
def test_the_declared_charset_is_read(charset):
    page = f'<html><head><meta charset="{charset}"></head><body><p>coração e ação</p></body></html>'.encode(charset)
    assert "coração e ação" in page_text(page)


def test_entities_of_a_bomb_are_only_text():
    bomb = '<!DOCTYPE html [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><html><body><p>&b;&b;</p></body></html>'
    assert "haha" not in page_text(bomb.encode())


def test_external_entities_are_never_fetched(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("segredo")
    page = f'<!DOCTYPE html [<!ENTITY x SYSTEM "file://{secret}">]><html><body><p>oi &x;</p></body></html>'
    assert "segredo" not in page_text(page.encode())
    assert strip_tags(parse_html("<p>a<br>b</p>")).split() == ["a", "b"]


def test_notes_beside_the_text_of_a_manual_are_not_lost():
    """trafilatura takes a box of class "sidebar" for decoration."""
    note = "Esta nota explica em detalhe o que o leitor precisa saber antes de continuar, com exemplos e avisos. " * 3
    body = "O texto principal do manual continua por várias linhas, com calma, e diz como instalar o sistema. " * 5
    page = (
        f'<html><body><nav>Início Sumário</nav><div class="section"><p>{body}</p><div class="sidebar"><p>{note}</p></div>'
        "</div><footer>Todos os direitos</footer></body></html>"
    )
    text = html_text(page.encode())
    assert "Esta nota explica" in text
    assert "O texto principal" in text
    assert "Sumário" not in text
    assert "direitos" not in text
