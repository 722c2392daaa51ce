"""docx, odt and epub: the text as python-docx writes it, and no entity expanded."""

import io
import zipfile

import pytest

from dozero.corpus.read.limits import Limits
from dozero.corpus.read.office import OFFICE, find_chapters, iter_tags, local_name, office_text
from dozero.errors import DataError


def test_paragraphs_and_tables_of_a_docx_come_in_order():
    docx = pytest.importorskip("docx")
    document, buffer = docx.Document(), io.BytesIO()
    document.add_heading("Título")
    document.add_paragraph("Primeiro\tparágrafo, com ação.")
    table = document.add_table(1, 2)
    table.cell(0, 0).text, table.cell(0, 1).text = "um", "dois"
    document.add_paragraph("Último.")
    document.save(buffer)
    with zipfile.ZipFile(buffer) as archive, archive.open(OFFICE["docx"].part) as stream:
        lines = office_text(stream, "docx", Limits()).split("\n")
    assert [line for line in lines if line] == ["Título", "Primeiro\tparágrafo, com ação.", "um", "dois", "Último."]


ODT = b"""<office:document-content xmlns:office="urn:o" xmlns:text="urn:t"><text:h>Oi</text:h><text:p>a<text:s/>b<text:tab/>c</text:p>
<text:tracked-changes><text:p>gone</text:p></text:tracked-changes></office:document-content>"""


def test_odt_loses_what_was_deleted():
    assert office_text(io.BytesIO(ODT), "odt", Limits()) == "Oi\na b\tc"


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', "bomb"),
        (b"<x><y></x>", "damaged XML"),
        (b"<x/>", "no text"),
    ],
)
def test_bad_xml_is_told(data, what):
    with pytest.raises(DataError, match=what):
        office_text(io.BytesIO(data), "docx", Limits())


def test_chapters_come_in_reading_order():
    files = {
        "META-INF/container.xml": b'<c><rootfile full-path="O/p.opf"/></c>',
        "O/p.opf": b'<p><item id="a" href="x%20y.xhtml"/><item id="b" href="../z.xhtml"/><itemref idref="b"/><itemref idref="a"/><itemref idref="q"/></p>',
    }
    assert find_chapters(lambda name: io.BytesIO(files[name])) == ["z.xhtml", "O/x y.xhtml"]
    assert [tag for tag, _ in iter_tags(io.BytesIO(files["O/p.opf"]))] == [
        "p",
        "item",
        "item",
        "itemref",
        "itemref",
        "itemref",
    ]
    assert local_name("urn:x p") == "p"
