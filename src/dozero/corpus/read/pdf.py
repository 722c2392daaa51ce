"""PDF: the text of its pages, by pypdf."""

from __future__ import annotations

import logging
import time
from typing import Any

from dozero.corpus.read.limits import Limits
from dozero.corpus.read.streams import File
from dozero.errors import DataError, MissingExtra


def pdf_text(file: File, limits: Limits) -> str:
    """Return the text of a PDF, a blank line between pages; DataError when it is damaged, locked or has no text."""
    try:
        import pypdf
        from pypdf.errors import DependencyError
    except ImportError:
        raise MissingExtra("pypdf", extra="files") from None
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it warns of every oddity, naming no file
    try:
        reader = pypdf.PdfReader(file)
        if reader.is_encrypted and not reader.decrypt(""):
            raise DataError("locked by a password")
        return _text_of_pages(reader, limits)
    except DependencyError:
        raise DataError("locked (its encryption needs the package cryptography)") from None
    except DataError:
        raise
    except Exception as error:  # noqa: BLE001 - on damaged or hostile files pypdf raises whatever its parsing meets
        raise DataError(f"damaged PDF ({type(error).__name__})") from None


def _text_of_pages(reader: Any, limits: Limits) -> str:
    """Return the text of all pages, within the limits of pages, characters and time."""
    if len(reader.pages) > limits.pages:
        raise DataError(f"more than {limits.pages:,} pages")
    until = time.monotonic() + limits.pdf_seconds
    pages: list[str] = []
    size = 0
    for page in reader.pages:
        pages.append(page.extract_text().strip())
        size += len(pages[-1])
        if size > limits.largest_document_chars:
            raise DataError(f"longer than {limits.largest_document_chars:,} characters")
        if time.monotonic() > until:
            raise DataError(f"takes longer than {limits.pdf_seconds:g} s")
    text = "\n\n".join(filter(None, pages))
    if not text:
        raise DataError("no text in it (scanned? OCR would be needed)")
    return text
