"""A source is what was found: it cannot be changed on the way."""

from dataclasses import FrozenInstanceError

import pytest

from dozero.interop.hf_import import read_folder_source


def test_a_source_names_the_files_it_was_read_from_and_stays_as_it_is(folder_of_others):
    source = read_folder_source(folder_of_others.path)
    assert all(file.parent == folder_of_others.path and file.is_file() for file in source.files)
    with pytest.raises(FrozenInstanceError):
        source.dtype = None
