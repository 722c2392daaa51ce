"""One name for each licence, and what it asks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozero.corpus.document import Document
from dozero.corpus.licence import FACTS, guess_licence, licence_facts, licence_filter, normalise_licence
from dozero.corpus.parts import Parts

SPELLED = {
    "CC-BY-4.0": ["CC BY 4.0", "cc-by-4.0", "CC BY", "https://creativecommons.org/licenses/by/4.0/", "Creative Commons Attribution 4.0"],
    "CC-BY-SA-3.0": ["CC BY-SA 3.0", "cc-by-sa-3.0", "http://creativecommons.org/licenses/by-sa/3.0/deed.pt_BR", "CC-BY-SA 3"],
    "CC-BY-NC-ND-4.0": ["CC BY-NC-ND 4.0", "Creative Commons Attribution-NonCommercial-NoDerivatives 4.0"],
    "CC0-1.0": ["CC0", "cc0-1.0", "https://creativecommons.org/publicdomain/zero/1.0/"],
    "public-domain": ["public domain", "Domínio público", "https://creativecommons.org/publicdomain/mark/1.0/"],
    "own": ["own", "próprio", "Próprio"],
    "MIT": ["MIT", "mit", "MIT License", "The MIT Licence"],
    "Apache-2.0": ["Apache 2", "Apache-2.0", "Apache License, Version 2.0"],
    "BSD-3-Clause": ["BSD", "BSD-3-Clause", "New BSD license"],
    "BSD-2-Clause": ["BSD-2-Clause", "Simplified BSD, 2 clauses"],
    "MPL-2.0": ["MPL-2.0", "Mozilla Public License 2.0"],
    "GPL-3.0-or-later": ["GPL v3 or later", "GPL-3.0-or-later", "GPL-3+"],
    "GPL-2.0-only": ["GPL", "GPL-2", "GPL-2.0-only", "GNU General Public License v2"],
    "GFDL-1.3-only": ["GFDL 1.3", "GNU Free Documentation License 1.3"],
    "LGPL-2.1-only": ["LGPL", "GNU Lesser General Public License 2.1"],
}  # fmt: skip


@pytest.mark.parametrize(("name", "told"), [(name, told) for name, many in SPELLED.items() for told in many])
def test_each_spelling_gets_the_one_name(name, told):
    assert normalise_licence(told) == name


@pytest.mark.parametrize("name", SPELLED)
def test_a_name_stays_itself_and_is_understood(name):
    assert normalise_licence(name) == name
    assert licence_facts(name) is not None


@pytest.mark.parametrize("told", ["House rules", "see the author", "CC BY-SA 3.0 or GPL-2+", ""])
def test_what_is_not_known_stays_as_it_was_told(told):
    assert normalise_licence(f" {told} ") == told
    assert licence_facts(told) is None


@given(st.text())
def test_normalising_again_changes_nothing(text):
    once = normalise_licence(text)
    assert normalise_licence(once) == once


def test_what_creative_commons_asks_is_in_its_name():
    facts = licence_facts("CC-BY-NC-SA-4.0")
    assert (facts.attribution, facts.share_alike, facts.non_commercial, facts.no_derivatives) == (
        True,
        True,
        True,
        False,
    )
    for lang, words in (("pt", "não comerciais"), ("en", "non-commercial")):
        assert words in facts.told(lang)
        assert words not in licence_facts("CC-BY-4.0").told(lang)
    assert {f.told("en") for name, f in FACTS.items() if name == "own"} == {"asks for nothing"}


def test_without_a_licence_a_document_is_kept_out_unless_the_user_says_otherwise():
    bare, licensed = Document("a", "a.txt", ""), Document("a", "a.txt", "MIT")
    judge, lenient = licence_filter(False), licence_filter(True)
    assert [judge(d, Parts("a")) for d in (bare, licensed)] == ["no licence", None]
    assert [lenient(d, Parts("a")) for d in (bare, licensed)] == [None, None]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("MIT License\n\nCopyright (c) 2026 Ana\n\nPermission is hereby granted, free of charge, to any person", "MIT"),
        ("Apache License\n   Version 2.0, January 2004", "Apache-2.0"),
        ("GNU GENERAL PUBLIC LICENSE\n Version 3, 29 June 2007", "GPL-3.0-only"),
        ("GNU Free Documentation License\n  Version 1.3", "GFDL-1.3-only"),
        ("Creative Commons Attribution-ShareAlike 4.0 International Public License", "CC-BY-SA-4.0"),
        ("All rights reserved.", None),
    ],
)
def test_the_text_of_a_licence_suggests_its_name(text, name):
    assert guess_licence(text) == name
