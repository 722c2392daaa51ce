"""Every reason for which a document can be dropped has a meaning in both languages."""

import pytest

from dozero.corpus.decontaminate import CONTAMINATED
from dozero.corpus.judge import EMPTY, FORGOTTEN, PERSONAL
from dozero.corpus.reasons import OTHER_REASONS, reason_in
from dozero.corpus.rules import REASONS
from dozero.corpus.settle import DUPLICATE

ALL = [*REASONS, *OTHER_REASONS]


def test_what_is_no_filter_has_its_meaning_here():
    assert {*filter(None, DUPLICATE), EMPTY, FORGOTTEN, PERSONAL, CONTAMINATED} <= set(OTHER_REASONS)
    assert not set(OTHER_REASONS) & set(REASONS)


@pytest.mark.parametrize("lang", ["pt", "en"])
def test_no_two_reasons_are_told_alike(lang):
    assert len({reason_in(lang, reason) for reason in ALL}) == len(ALL)


@pytest.mark.parametrize("reason", ALL)
def test_portuguese_and_english_differ(reason):
    assert reason_in("pt", reason) != reason_in("en", reason)


def test_a_reason_nobody_explained_stays_as_it_is():
    assert reason_in("pt", "my own rule") == "my own rule"
