"""What split.py promises: a document's side follows from its text alone."""

import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozero.dataset.split import is_heldout
from dozero.testing import WORDS, tiny_dataset

SOURCE = Path(__file__).resolve().parent.parent.parent / "src"
PERCENTS = st.floats(min_value=0, max_value=100)


@given(text=st.text(), low=PERCENTS, high=PERCENTS)
def test_a_larger_percentage_only_adds_documents(text, low, high):
    low, high = sorted((low, high))
    assert is_heldout(text, low) <= is_heldout(text, high)


@given(text=st.text() | st.text(alphabet="\ud800\udfff"))
def test_nothing_is_held_out_at_0_and_everything_at_100(text):
    assert not is_heldout(text, 0)
    assert is_heldout(text, 100)


@pytest.mark.no_cover
@pytest.mark.parametrize("percent", [0.5, 5, 10, 20, 50, 90])
def test_the_share_is_near_the_percentage(percent):
    draw, count = random.Random(percent), 4_000
    letters = "abcdefghijklmnopqrstuvwxyzáéíóúâêôãõçà"
    words = {"".join(draw.choices(letters, k=draw.randint(3, 12))) for _ in range(2 * count)}
    held = sum(is_heldout(word, percent) for word in sorted(words)[:count])
    spread = (count * percent / 100 * (1 - percent / 100)) ** 0.5  # of a binomial
    assert abs(held - count * percent / 100) < 4 * spread


def test_a_document_stays_on_its_side_while_the_corpus_grows(tmp_path):
    sides = {}
    for count in (50, 80, len(WORDS)):
        dataset, tokenizer = tiny_dataset(tmp_path / str(count), WORDS[:count])
        for side in ("train", "heldout"):
            text = tokenizer.show(getattr(dataset, side).ids[:-1].tolist())
            for word in "".join(text).split("<|endoftext|>")[1:]:
                assert sides.setdefault(word, side) == side
    assert set(sides) == set(WORDS)


def test_another_process_decides_alike():
    """Python's own hash of a text would not: it is salted anew in each process."""
    code = "from dozero.dataset.split import is_heldout; import sys; print([is_heldout(w, 30) for w in sys.argv[1:]])"
    environment = {"PYTHONPATH": str(SOURCE), "PYTHONHASHSEED": "1"}
    words = ["casa", "coração", "pão", "água", "mãe"]
    said = subprocess.run([sys.executable, "-c", code, *words], env=environment, capture_output=True, encoding="utf-8")
    assert said.stdout == f"{[is_heldout(word, 30) for word in words]}\n", said.stderr
