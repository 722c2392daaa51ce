"""Signatures: equal bands at the rate that the Jaccard similarity of the shingles says."""

import json
import subprocess
import sys

import numpy as np
import pytest
from datasketch import MinHash
from hypothesis import given
from hypothesis import strategies as st

from dozero.corpus.minhash import (
    SHINGLES_AT_ONCE,
    find_minima,
    hash_shingles,
    mix,
    odd_numbers,
    sign,
    sign_many,
)
from dozero.corpus.parts import Parts
from dozero.settings import CurateConfig

CONFIG = CurateConfig()
MASK = (1 << 64) - 1
hashes = st.lists(st.integers(0, MASK), max_size=40).map(lambda values: np.array(values, np.uint64))


def splitmix64(seed, count):
    """The published generator (Steele, Lea and Flood 2014), one number after the other."""
    numbers = []
    for _ in range(count):
        seed = (seed + 0x9E3779B97F4A7C15) & MASK
        z = seed
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        numbers.append(z ^ (z >> 31))
    return numbers


def shingles_of(text, length=5):
    """The set of runs of words, from which the Jaccard similarity is computed as it is defined."""
    words = text.split()
    return {tuple(words[i : i + length]) for i in range(len(words) - length + 1)}


def jaccard(left, right):
    a, b = shingles_of(left), shingles_of(right)
    return len(a & b) / len(a | b)


def pairs_of_similarity(shingles, edits, count, seed=0):
    """Pairs of texts of so many shingles, the second with `edits` words replaced, 5 or more apart: each takes 5 away."""
    rng = np.random.default_rng(seed)
    words = shingles + 4
    for i in range(count):
        left = [f"p{i}w{j}" for j in range(words)]
        free = rng.choice(words - 8 - 4 * (edits - 1), edits, replace=False)
        right = list(left)
        for n, place in enumerate(sorted(free)):
            right[4 + place + 4 * n] = f"p{i}x{n}"
        yield " ".join(left), " ".join(right)


# --- the numbers ------------------------------------------------------------------------------------------------


def test_multipliers_are_those_of_splitmix64():
    assert odd_numbers(50, 3).tolist() == [number | 1 for number in splitmix64(3, 50)]


def test_mix_is_one_to_one():
    values = np.arange(100_000, dtype=np.uint64)
    assert len(np.unique(mix(values))) == len(values)


def test_signature_is_what_plain_python_computes():
    words = Parts("um dois três quatro cinco seis sete").word_hashes.tolist()
    place, function, row = ([n | 1 for n in splitmix64(seed, 24)] for seed in (1, 2, 3))
    shingles = [sum(w * m for w, m in zip(words[i : i + 5], place[:5], strict=True)) & MASK for i in range(3)]
    shingles = mix(np.array(shingles, np.uint64)).tolist()
    minima = [min(m * shingle & MASK for shingle in shingles) for m in function]
    bands = [sum(w * m for w, m in zip(minima[i : i + 8], row[:8], strict=True)) & MASK for i in (0, 8, 16)]
    signature = sign(Parts("um dois três quatro cinco seis sete"), CurateConfig(bands=3))
    assert signature.tolist() == mix(np.array(bands, np.uint64)).tolist()


def test_signatures_are_the_same_in_another_process():
    text = "a casa de pedra fica no alto"
    code = (
        "import sys; from dozero.corpus.minhash import sign; from dozero.corpus.parts import Parts;"
        "from dozero.settings import CurateConfig; print(sign(Parts(sys.argv[1]), CurateConfig()).tolist())"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, text], env={"PYTHONHASHSEED": "7"}, capture_output=True, text=True, check=True
    )
    assert json.loads(told.stdout) == sign(Parts(text), CONFIG).tolist()


@given(hashes, st.integers(1, 8))
def test_shingles_are_the_weighted_sums_of_runs_mixed(words, length):
    length_here = min(length, len(words))
    multipliers = odd_numbers(length_here, 1).tolist() if length_here else []
    runs = [words.tolist()[i : i + length_here] for i in range(len(words) - length_here + 1)] if length_here else []
    sums = [sum(w * m for w, m in zip(run, multipliers, strict=True)) & MASK for run in runs]
    assert hash_shingles(words, length).tolist() == mix(np.array(sums, np.uint64)).tolist()


@given(hashes.filter(len))
def test_minima_do_not_depend_on_order_nor_repetition(shingles):
    again = np.concatenate([shingles[::-1], shingles])
    assert find_minima(again, 16).tolist() == find_minima(shingles, 16).tolist()


def test_minima_of_a_long_document_are_those_of_its_blocks():
    shingles = mix(np.arange(3 * SHINGLES_AT_ONCE + 17, dtype=np.uint64))
    whole = (shingles[:, None] * odd_numbers(16, 2)).min(axis=0)
    assert find_minima(shingles, 16).tolist() == whole.tolist()


# --- texts ------------------------------------------------------------------------------------------------------


def test_signature_has_one_hash_a_band():
    assert sign(Parts("um dois três quatro cinco seis"), CurateConfig(bands=7, rows=3)).shape == (7,)


def test_case_and_marks_do_not_count_but_order_does():
    plain, marked, turned = (
        sign(Parts(text), CONFIG)
        for text in ("a casa de pedra fica no alto", "A casa, de pedra: fica no ALTO!", "a pedra de casa fica no alto")
    )
    assert (plain == marked).all()
    assert not (plain == turned).any()


def test_short_texts_meet_only_their_equals():
    texts = ["sim", "não", "sim sim", "sim não", "não sim", "???", "!!!", "...", ""]
    signatures = sign_many([Parts(text) for text in texts], CONFIG)
    for band in range(CONFIG.bands):
        assert len(set(signatures[:, band].tolist())) == len(texts)


def test_many_are_signed_as_one_by_one():
    texts = [Parts(text) for text in ("um dois três quatro cinco seis sete", "um dois", "")]
    assert (sign_many(texts, CONFIG) == np.stack([sign(parts, CONFIG) for parts in texts])).all()
    assert sign_many([], CONFIG).shape == (0, CONFIG.bands)


# --- the law ----------------------------------------------------------------------------------------------------


@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("similarity", "shingles", "edits"), [(0.5, 405, 27), (0.7, 425, 15), (0.8, 405, 9), (0.9, 380, 4)]
)
def test_pairs_meet_at_the_rate_their_similarity_predicts(similarity, shingles, edits):
    pairs = list(pairs_of_similarity(shingles, edits, 500))
    assert jaccard(*pairs[0]) == similarity
    left, right = (sign_many([Parts(text) for text in side], CONFIG) for side in zip(*pairs, strict=True))
    caught = (left == right).any(axis=1).mean()
    predicted = 1 - (1 - similarity**CONFIG.rows) ** CONFIG.bands
    assert caught == pytest.approx(predicted, abs=4 * (predicted * (1 - predicted) / len(pairs)) ** 0.5 + 0.001)


def test_minima_estimate_the_similarity_as_well_as_those_of_datasketch():
    """The share of equal minima of 112 is off by sqrt(s(1 - s) / 112) or 0.046; 200 pairs tell it within 5%."""
    pairs = [pair for i, edits in enumerate((27, 18, 9, 4)) for pair in pairs_of_similarity(405, edits, 50, i)]
    truth = np.array([jaccard(*pair) for pair in pairs])
    ours, theirs = [], []
    for pair in pairs:
        left, right = (find_minima(hash_shingles(Parts(text).word_hashes, 5), 112) for text in pair)
        ours.append((left == right).mean())
        left, right = (MinHash(num_perm=112) for _ in pair)
        left.update_batch([" ".join(shingle).encode() for shingle in shingles_of(pair[0])])
        right.update_batch([" ".join(shingle).encode() for shingle in shingles_of(pair[1])])
        theirs.append(left.jaccard(right))
    error, their_error = (np.sqrt(np.mean((np.array(told) - truth) ** 2)) for told in (ours, theirs))
    assert error < 1.2 * their_error
    assert abs(np.mean(ours) - truth.mean()) < 0.01
