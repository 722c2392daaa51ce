"""`dozero curate` as a user types it: a messy folder in, every drop explained in both languages."""

import json

import pytest
from typer.testing import CliRunner

from dozero.cli.curate import curate_config, only_folder, settings_tree, split_settings
from dozero.cli.main import app
from dozero.corpus.store import open_corpus
from dozero.errors import ConfigError

PT = ("A menina que morava perto do rio gostava de ler histórias antigas para os irmãos. Todo dia ela abria um livro e lia "
      "em voz alta, e ninguém piscava. Quando a chuva vinha, a casa cheirava a terra e a café. Foi assim que aprenderam a "
      "contar casos, e um deles ficou famoso na vila. O do peixe que falava, dizem, ainda se conta por lá.")  # fmt: skip
LATIN = ("O padeiro acordava antes do sol para amassar o pão da vizinhança inteira. Às seis horas a fila já dobrava a "
         "esquina, e o cheiro da fornada chegava até a praça. Quem comprava dois levava um sonho de graça, porque o velho "
         "dizia que ninguém começa bem o dia sem açúcar. Era verdade. Na segunda-feira ele fechava, e a rua ficava muda e sem graça.")  # fmt: skip
MAIL = ("O clube de xadrez da cidade abriu inscrições para o torneio de inverno, que começa no próximo mês. São cinco rodadas. As partidas "
        "serão à noite, na biblioteca, e qualquer pessoa pode assistir sem pagar nada. Para se inscrever, basta mandar uma "
        "mensagem para ana@exemplo.com.br com o nome completo. Os melhores de cada mesa vão jogar a final em julho.")  # fmt: skip
OTHER = ("The old sailor kept a garden on the roof of his boat, with tomatoes, beans and a small lemon tree. It grew well. When the wind "
         "was strong he tied the pots together, and the cat slept between them to keep warm. Visitors thought that it was "
         "strange, but they all went home with a bag of lemons. In winter he read the names of the seeds aloud.")  # fmt: skip
EN = ("The girl who lived by the river liked to read old stories to her brothers. Every day she opened a book and read it "
      "aloud, and nobody blinked. When the rain came, the house smelled of earth and of coffee. That is how they learned "
      "to tell tales, and one of them became famous in the village. The one of the fish that spoke is still told there.")  # fmt: skip


@pytest.fixture
def docs(tmp_path, monkeypatch):
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "pt.txt").write_text(PT, encoding="utf-8")
    (folder / "latin.txt").write_text(LATIN, encoding="latin-1")
    (folder / "en.txt").write_text(EN, encoding="utf-8")
    (folder / "mail.txt").write_text(MAIL, encoding="utf-8")
    (folder / "short.txt").write_text("curto", encoding="utf-8")
    (folder / "empty.txt").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    return folder


def curate(*arguments, code=0):
    ran = CliRunner().invoke(app, ["curate", *map(str, arguments), "--processes", "1"])
    if code == 0:
        assert ran.exit_code == 0, (ran.output, ran.exception)
    return ran


@pytest.mark.parametrize(
    ("locale", "words"),
    [("pt_BR", ("documentos que ficam", "motivo", "não lido")), ("C", ("documents kept", "reason", "not read"))],
)
def test_it_tells_what_stays_what_goes_and_why(docs, monkeypatch, locale, words):
    monkeypatch.setenv("LC_ALL", locale)
    text = curate("docs", "-o", "corpus", "--licence", "own").output
    assert all(word in text for word in words), text
    corpus = open_corpus(docs.parent / "corpus")
    assert corpus.manifest.counts["kept"] == 4
    assert {"documents-000000.parquet", "dropped-000000.parquet", "report.json"} < set(corpus.manifest.files)


def test_a_language_keeps_its_own_only(docs):
    curate("docs", "-o", "corpus", "--licence", "own", "--lang", "pt")
    corpus = open_corpus(docs.parent / "corpus")
    assert {d.lang for d in corpus.documents()} == {"pt"}
    assert {row.reason for row in corpus.stored(kept=False)} == {"language", "length: too short"}


def test_settings_and_several_sources_are_taken(docs):
    (docs.parent / "more").mkdir()
    (docs.parent / "more" / "x.txt").write_text(OTHER)
    curate("docs", "more", "-o", "c", "--licence", "own", "curate.filters=[]", "--personal", "report")
    corpus = open_corpus(docs.parent / "c")
    assert {d.collection for d in corpus.documents()} == {"docs", "more"}
    assert "ana@exemplo.com.br" in "".join(corpus.texts())
    assert corpus.manifest.counts["dropped"] == 0


def test_the_same_command_again_only_reports(docs):
    curate("docs", "-o", "corpus", "--licence", "own")
    before = (docs.parent / "corpus" / "manifest.json").read_bytes()
    curate("docs", "-o", "corpus", "--licence", "own")
    assert (docs.parent / "corpus" / "manifest.json").read_bytes() == before
    (docs / "pt.txt").write_text(PT + " Fim da história.", encoding="utf-8")
    curate("docs", "-o", "corpus", "--licence", "own")
    assert (docs.parent / "corpus" / "manifest.json").read_bytes() != before


def test_as_json_there_is_one_object_a_line(docs):
    lines = [
        json.loads(line) for line in curate("docs", "-o", "corpus", "--licence", "own", "--json").stdout.splitlines()
    ]
    assert [line["event"] for line in lines] == ["Unread", "UnitDone", "Curated"]
    assert lines[-1]["report"]["kept"]["documents"] == 4


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ((), "nothing to curate"),
        (("nowhere",), "no such file or folder"),
        (("docs",), "no document is left"),
        (("docs", "--licence", "own", "--personal", "hide"), "personal_data"),
        (("docs", "train.steps=3"), "has no effect here"),
        (("docs", "--licence", "own", 'curate.filters=["c5"]'), "no such filter"),
        (("gopher://x",), "an address that is not read"),
    ],
)
def test_a_mistake_is_one_error_and_makes_nothing(docs, arguments, what):
    ran = curate(*arguments, "-o", "corpus", code=2)
    assert what in str(ran.exception)
    assert "\n" not in str(ran.exception)
    assert {p.name for p in docs.parent.iterdir()} == {"docs"}


def test_words_of_the_command_line_are_settings_only_if_they_look_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.b=c").write_text("x")
    assert split_settings(["curate.bands=3", "a=b", "a.b=c", "x y.z=1"]) == (
        ["curate.bands=3"],
        ["a=b", "a.b=c", "x y.z=1"],
    )
    tree = settings_tree(["docs"], "body", {"licence": "MIT"}, {}, "pt,en")
    config = curate_config(tree, ["curate.bands=3"])
    assert (config.curate.languages, config.curate.bands, config.data.all_sources[0].text_field) == (
        ("pt", "en"),
        3,
        "body",
    )
    with pytest.raises(ConfigError, match="one corpus or workspace at a time"):
        only_folder(["a", "b"], tmp_path)
