"""What is one edit away, against a distance function; and the verdicts that follow from it."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozero.eval.novelty import SHORTEST_COPY, Verdict, judge_word, one_edit_away

ALPHABET = "abç"


def distance(a, b):
    """Restricted Damerau-Levenshtein: insertions, deletions, replacements and swaps of neighbours, none edited twice."""
    rows = [[i + j if not i or not j else 0 for j in range(len(b) + 1)] for i in range(len(a) + 1)]
    for i, j in itertools.product(range(1, len(a) + 1), range(1, len(b) + 1)):
        rows[i][j] = min(
            rows[i - 1][j] + 1,
            rows[i][j - 1] + 1,
            rows[i - 1][j - 1] + (a[i - 1] != b[j - 1]),
            rows[i - 2][j - 2] + 1 if i > 1 and j > 1 and a[i - 2 : i] == b[j - 2 : j][::-1] else len(a) + len(b),
        )
    return rows[-1][-1]


def test_the_distance_itself_on_known_values():
    assert [distance(*pair) for pair in (("kitten", "sitting"), ("ab", "ba"), ("ca", "abc"), ("", "ab"), ("a", "a"))] == [
        3, 1, 3, 2, 0,
    ]  # fmt: skip


@pytest.mark.parametrize("length", range(4))
def test_one_edit_away_is_all_that_is_at_distance_one(length):
    everything = ["".join(w) for n in range(length + 2) for w in itertools.product(ALPHABET, repeat=n)]
    for letters in itertools.product(ALPHABET, repeat=length):
        word = "".join(letters)
        assert set(one_edit_away(word, ALPHABET)) == {other for other in everything if distance(word, other) == 1}


long_words = st.text(ALPHABET, min_size=SHORTEST_COPY - 1, max_size=SHORTEST_COPY + 2)


@given(st.lists(long_words, min_size=1, max_size=5), st.data())
def test_a_verdict_follows_from_the_distance_to_the_nearest_known_word(known, data):
    edits = st.sampled_from(known).flatmap(lambda word: st.sampled_from(sorted(set(one_edit_away(word, ALPHABET)))))
    word = data.draw(st.one_of(st.sampled_from(known), edits, long_words))
    verdict = judge_word(word, frozenset(known), ALPHABET)
    nearest = min(distance(word, other) for other in known)
    if nearest == 0:
        assert verdict == Verdict("exists")
    elif nearest == 1 and len(word) >= SHORTEST_COPY:
        assert verdict.kind == "almost"
        assert verdict.near in known
        assert distance(word, verdict.near) == 1
    else:
        assert verdict == Verdict("new")


@pytest.mark.parametrize(
    ("word", "verdict"),
    [
        ("coração", Verdict("exists")),
        ("corações", Verdict("new")),  # two edits
        ("encaminhada", Verdict("almost", "encaminhado")),
        ("encaminhdao", Verdict("almost", "encaminhado")),
        ("encaminhad", Verdict("almost", "encaminhado")),
        ("caminhu", Verdict("new")),  # one edit, but too short to be called a copy
    ],
)
def test_verdicts_on_portuguese_words(word, verdict):
    known = {"coração", "encaminhado", "caminho"}
    assert judge_word(word, known, "abcdefghijklmnopqrstuvwxyzãç") == verdict
