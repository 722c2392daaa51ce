"""PDF: the text of its pages; damaged, locked and textless ones are told."""

import io

import pytest

from dozero.corpus.read.limits import Limits
from dozero.corpus.read.pdf import pdf_text
from dozero.errors import DataError

pypdf = pytest.importorskip("pypdf")


def pdf_of(*pages):
    """A PDF written by hand, a line of text a page."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>"]
    kids = " ".join(f"{3 + 2 * n} 0 R" for n in range(len(pages)))
    objects.append(f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode())
    font = "<< /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >> >> >>"
    for n, text in enumerate(pages):
        stream = b"BT /F1 24 Tf 72 720 Td (" + text.encode("cp1252") + b") Tj ET" if text else b""
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources {font} /Contents {4 + 2 * n} 0 R >>".encode()
        )
        objects.append(b"<< /Length %d >>\nstream\n" % len(stream) + stream + b"\nendstream")
    data, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(data))
        data += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return data + b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1) + table + b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, len(data))  # fmt: skip


def test_pages_follow_with_a_blank_line_between():
    assert pdf_text(io.BytesIO(pdf_of("A lição um", "Página dois")), Limits()) == "A lição um\n\nPágina dois"


@pytest.mark.parametrize(
    ("data", "limits", "what"),
    [
        (pdf_of(""), Limits(), "no text in it"),
        (pdf_of("a", "b"), Limits(pages=1), "more than 1 pages"),
        (pdf_of("a" * 50), Limits(largest_document_chars=10), "longer than 10 characters"),
        (b"%PDF-1.4\ngarbage", Limits(), "damaged PDF"),
        (pdf_of("a")[:200], Limits(), "damaged PDF|no text"),
    ],
)
def test_what_gives_no_text_is_told(data, limits, what):
    with pytest.raises(DataError, match=what):
        pdf_text(io.BytesIO(data), limits)


def test_a_locked_pdf_is_told():
    writer, buffer = pypdf.PdfWriter(), io.BytesIO()
    writer.append(io.BytesIO(pdf_of("segredo")))
    writer.encrypt("senha", algorithm="RC4-128")
    writer.write(buffer)
    with pytest.raises(DataError, match="locked"):
        pdf_text(buffer, Limits())
