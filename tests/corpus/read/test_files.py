"""Which files a path names: in order, without hidden ones, links told and not followed."""

import os

import pytest

from dozero.corpus.read.files import find_files
from dozero.errors import DataError


def names(path):
    return [span.name for span in find_files(str(path))]


@pytest.fixture
def tree(tmp_path):
    for name in ("b/2.txt", "a/1.txt", "a/.hidden", ".git/x.txt", "__MACOSX/y.txt", "z.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("oi")
    return tmp_path


def test_a_folder_is_all_its_files_in_order(tree):
    assert names(tree) == [f"{tree}/{n}" for n in ("a/1.txt", "b/2.txt", "z.md")]


def test_a_glob_is_what_it_matches(tree):
    assert names(f"{tree}/**/*.txt") == [f"{tree}/{n}" for n in ("a/1.txt", "b/2.txt")]
    assert names(tree / "z.md") == [f"{tree}/z.md"]


@pytest.mark.skipif(os.name == "nt", reason="links need POSIX")
def test_links_on_the_way_are_told_and_one_named_outright_is_followed(tree):
    (tree / "a" / "link").symlink_to(tree)
    (tree / "in").symlink_to(tree / "b")
    faults = [span for span in find_files(str(tree)) if span.fault]
    assert [span.name for span in faults] == [f"{tree}/a/link", f"{tree}/in"]
    assert names(tree / "in") == [f"{tree}/in/2.txt"]
    (tree / "circle").symlink_to(tree / "circle")
    with pytest.raises(DataError, match="circle"):
        find_files(str(tree / "circle"))
