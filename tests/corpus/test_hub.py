"""The front matter of a card: what the hub accepts."""

import itertools

import pytest
import yaml

from dozero.corpus.hub import HUB_LICENCES, SIZES, front_matter, hub_licence


def report(documents=5, licences=("MIT",), languages=("pt",)):
    return {
        "kept": {"documents": documents},
        "licences": [{"licence": name, "kept_documents": 1} for name in licences],
        "languages": [{"language": code, "kept_documents": 1} for code in languages],
    }


def parsed(**facts):
    return yaml.safe_load(front_matter(report(**facts)).strip("-\n"))


@pytest.mark.parametrize(
    ("documents", "size"),
    [(0, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (10**6, "1M<n<10M"), (10**10 - 1, "1B<n<10B"), (10**13, "n>1T")],
)
def test_the_size_is_the_one_between_whose_bounds_the_documents_lie(documents, size):
    assert parsed(documents=documents)["size_categories"] == [size]


def test_sizes_join_without_gaps():
    for (limit, name), (_, above) in itertools.pairwise(SIZES):
        assert name.rpartition("<")[2] == above.partition("<")[0], limit


def test_codes_stay_text_where_yaml_would_read_something_else():
    assert parsed(languages=("no", "pt", ""))["language"] == ["no", "pt"]


def test_what_nobody_knows_is_left_out():
    assert {"license", "language"}.isdisjoint(parsed(licences=(), languages=()))


@pytest.mark.parametrize(
    ("licence", "name"),
    [
        ("Apache-2.0", "apache-2.0"),
        ("GPL-3.0-only", "gpl-3.0"),
        ("GFDL-1.1-or-later", "gfdl"),
        ("own", "other"),
        ("CC-BY-SA-3.0 OR GPL-2.0-or-later", "other"),
        ("", "unknown"),
    ],
)
def test_licences_have_the_names_of_the_hub(licence, name):
    assert hub_licence(licence) == name
    assert name in HUB_LICENCES | {"other", "unknown"}


def test_equal_names_are_told_once():
    assert parsed(licences=("GPL-2.0-only", "GPL-2.0-or-later", "mine", "theirs"))["license"] == ["gpl-2.0", "other"]
