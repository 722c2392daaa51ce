"""A document, and the name it goes by."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozero.corpus.document import Document


@given(st.text(), st.text(), st.text())
def test_its_id_follows_from_the_text_alone(text, source, licence):
    expected = hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]
    assert Document(text, source, licence).id == Document(text, "here", "CC0-1.0").id == expected


def test_it_cannot_be_changed():
    document = Document("casa", "here", "CC0-1.0")
    with pytest.raises(AttributeError):
        document.text = "rua"
    assert document == Document("casa", "here", "CC0-1.0")
