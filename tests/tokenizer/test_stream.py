"""Decoding token by token gives the text of decoding all at once, and shows no half of a character."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozero.tokenizer.stream import IncrementalDecoder, StopFilter


def pieces_of(tokens):
    """What is shown after each token, and at the end."""
    decoder = IncrementalDecoder([b"", *tokens])
    return [decoder.push(i) for i in range(1, len(tokens) + 1)], decoder.finish()


def cut(data, places):
    bounds = sorted({0, len(data), *(p % (len(data) + 1) for p in places)})
    return [data[a:b] for a, b in itertools.pairwise(bounds)]


places = st.lists(st.integers(0, 60), max_size=20)


@given(st.text(max_size=20), places)
def test_text_however_cut_is_shown_in_whole_characters_as_soon_as_they_are_complete(text, places):
    tokens = cut(text.encode(), places)
    pieces, rest = pieces_of(tokens)
    assert rest == ""
    for n in range(len(tokens) + 1):
        so_far = b"".join(tokens[:n])
        assert "".join(pieces[:n]) == so_far.decode(errors="ignore")  # which leaves out an incomplete last character


@given(st.binary(max_size=30), places)
def test_any_bytes_however_cut_show_what_they_show_at_once(data, places):
    pieces, rest = pieces_of(cut(data, places))
    assert "".join(pieces) + rest == data.decode(errors="replace")


@pytest.mark.parametrize(
    ("tokens", "pieces", "rest"),
    [
        ([b"c", b"\xc3", b"\xa7"], ["c", "", "ç"], ""),
        ([b"\xe6", b"\x97", b"\xa5"], ["", "", "日"], ""),
        ([b"\xe6\x97", b"\xa5a"], ["", "日a"], ""),
        ([b"\xf0\x9f", b"\x99\x82"], ["", "🙂"], ""),
        ([b"\xc3", b"o"], ["", "\ufffdo"], ""),  # the first byte was no character after all
        ([b"o", b"\xe6\x97"], ["o", ""], "\ufffd"),
        ([b"\xa7"], ["\ufffd"], ""),
        ([], [], ""),
    ],
)
def test_by_hand(tokens, pieces, rest):
    assert pieces_of(tokens) == (pieces, rest)


def test_the_end_of_text_shows_nothing():
    decoder = IncrementalDecoder([b"", b"\xc3", b"\xa7"])
    assert [decoder.push(i) for i in (0, 1, 0, 2, 0)] == ["", "", "", "ç", ""]


# --- stop strings -----------------------------------------------------------------------------------------------------


def before_the_stop(text, stops):
    """The text before the stop string that is complete first; of several at one character, the longest."""
    for end in range(len(text) + 1):
        found = [stop for stop in stops if text[:end].endswith(stop)]
        if found:
            return text[: end - max(map(len, found))]
    return text


short_texts = st.text("ab\nç", max_size=12)


@given(st.lists(short_texts, max_size=6), st.lists(st.text("ab\nç", min_size=1, max_size=4), max_size=3))
def test_pieces_join_to_the_text_before_the_first_stop_however_it_is_before_the_stop(pieces, stops):
    shown = StopFilter(stops)
    text = "".join(shown.push(piece) for piece in pieces)
    stopped = shown.stopped
    text += shown.finish()
    assert text == before_the_stop("".join(pieces), stops)
    assert stopped == any(stop in "".join(pieces) for stop in stops)


@given(short_texts, st.lists(st.text("ab\nç", min_size=1, max_size=4), min_size=1, max_size=3))
def test_what_is_shown_is_never_taken_back_and_held_back_no_longer_than_needed(text, stops):
    shown, so_far = StopFilter(stops), ""
    for i, character in enumerate(text):
        so_far += shown.push(character)
        if shown.stopped:
            break
        held = text[: i + 1].removeprefix(so_far)
        assert text[: i + 1].startswith(so_far)
        assert not held or any(stop.startswith(held) for stop in stops)
    assert before_the_stop(text, stops).startswith(so_far)


def test_after_a_stop_nothing_shows():
    shown = StopFilter(["."])
    assert [shown.push("a.b"), shown.push("c"), shown.finish()] == ["a", "", ""]
