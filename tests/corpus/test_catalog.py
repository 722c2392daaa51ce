"""Every entry of the catalog is complete, and a slip of the pen finds the nearest."""

import pytest

from dozero.corpus.catalog import find_entry, get_entry, list_catalog
from dozero.corpus.licence import normalise_licence
from dozero.errors import DataError


@pytest.mark.parametrize("entry", list_catalog(), ids=lambda entry: entry.name)
def test_an_entry_tells_where_it_is_and_what_one_may_do(entry):
    assert entry.address.startswith(("https://", "hf://"))
    assert normalise_licence(entry.licence)
    assert entry.language in ("pt", "en", "mul")
    assert entry.size_bytes > 0
    assert entry.en
    assert entry.pt
    assert not entry.sha256 or len(entry.sha256) == 64


def test_both_languages_are_there_in_order():
    names = [entry.name for entry in list_catalog()]
    assert names == sorted(names)
    assert {"pt", "en"} <= {entry.language for entry in list_catalog()}


def test_an_entry_is_found_by_name_and_by_address():
    entry = list_catalog()[0]
    assert find_entry(entry.name) is entry is find_entry(entry.address)
    assert find_entry("nobody") is None
    with pytest.raises(DataError, match="did you mean lusiadas"):
        get_entry("lusiada")
