"""Scores and merges say the same, and a tokenizer made of scores cuts as the one whose scores they are."""

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from dozero.interop.gguf_pieces import BYTE, CONTROL, NORMAL, UNKNOWN, merges_of, scores_of, tree_of_pieces

NAMES = ["<unk>", "<s>", "</s>", *(f"<0x{b:02X}>" for b in range(256)), "▁", "a", "b", "c"]
KINDS = [UNKNOWN, CONTROL, CONTROL, *[BYTE] * 256, *[NORMAL] * 4]


@given(st.lists(st.text("▁abc", min_size=2, max_size=5), max_size=12, unique=True))
def test_merges_made_of_scores_have_those_scores_again_in_their_order(words):
    parts = {word[:i] for word in words for i in range(2, len(word) + 1)}  # every word can be built letter by letter
    names = NAMES + sorted(parts, key=lambda word: (len(word), word))
    kinds = KINDS + [NORMAL] * len(parts)
    tree = {"model": {"merges": merges_of(names, kinds, [-float(i) for i in range(len(names))])}}
    made = list(dict.fromkeys(left + right for left, right in tree["model"]["merges"]))
    assert made == names[len(NAMES) :]
    scores = scores_of(tree, names)
    assert sorted(made, key=lambda name: -scores[names.index(name)]) == made
    assert all(scores[names.index(letter)] < min(scores[names.index(m)] for m in made) for letter in "▁abc" if made)


@pytest.mark.parametrize("puts_space_first", [True, False])
def test_the_tree_opens_in_the_library_and_falls_back_to_bytes(puts_space_first):
    names, kinds = [*NAMES, "ab", "▁ab"], [*KINDS, NORMAL, NORMAL]
    scores = [-float(i) for i in range(len(names))]
    library = tokenizers.Tokenizer.from_str(
        __import__("json").dumps(tree_of_pieces(names, kinds, scores, puts_space_first=puts_space_first))
    )
    assert library.encode("ab ab").tokens == (["▁ab", "▁ab"] if puts_space_first else ["ab", "▁ab"])
    assert library.encode("ã").tokens[-2:] == ["<0xC3>", "<0xA3>"]
    for text in ("ab ab", "ã\n b", "日"):
        assert library.decode(library.encode(text).ids) == text
