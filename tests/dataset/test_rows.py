"""What rows.py promises: whole documents in full rows, each collection with its share.

The streams here hold 0, 1, 2, ... instead of tokens, so that each position of a row tells where it came from.
"""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dozero.dataset import rows as rows_module
from dozero.dataset.batch import IGNORE, gather_batch
from dozero.dataset.rows import Mix, pack_rows, share_turn
from dozero.testing import numbered_stream

LENGTHS = st.lists(st.integers(1, 45), min_size=1, max_size=60)
WIDTHS = st.integers(1, 40)
WEIGHTS = st.lists(st.integers(1, 400).map(lambda n: n / 100), min_size=2, max_size=6)
SIZES = st.lists(st.integers(1, 30), min_size=2, max_size=6)


def stream_of(lengths):
    return numbered_stream([("", 1.0, lengths)])


def all_rows(lengths, T):
    rows = pack_rows(stream_of(lengths), T)
    return rows, gather_batch(rows, np.arange(len(rows)))


def next_fit(lengths, T):
    """The number of rows of the simplest packing: a new row as soon as the next piece does not fit."""
    count, room = 0, 0
    for length in lengths:
        for piece in [T] * (length // T) + [length % T] * (length % T > 0):
            if piece > room:
                count, room = count + 1, T
            room -= piece
    return count


@given(lengths=LENGTHS, T=WIDTHS)
def test_segments_separate_documents_and_no_document_that_fits_is_cut(lengths, T):
    _, batch = all_rows(lengths, T)
    document_of = np.repeat(np.arange(len(lengths)), lengths)
    places = {document: [] for document in range(len(lengths))}
    for ids, segments in zip(batch.ids, batch.segments, strict=True):
        for segment in range(int(segments.max()) + 1):
            piece = ids[segments == segment].numpy()
            assert len(set(document_of[piece])) == 1, "a segment holds one document"
            assert (np.diff(piece) == 1).all(), "in its order"
            assert (np.diff(np.flatnonzero(segments == segment)) == 1).all(), "without a gap"
            places[document_of[piece[0]]].append(len(piece))
    for length, pieces in zip(lengths, places.values(), strict=True):
        cut = sorted([T] * (length // T) + [length % T] * (length % T > 0))
        assert sorted(pieces) == cut, "one piece if it fits, else full rows and a rest"


@given(lengths=LENGTHS, T=WIDTHS)
def test_rows_are_no_emptier_than_by_next_fit(lengths, T):
    rows, _ = all_rows(lengths, T)
    assert len(rows) <= next_fit(lengths, T)
    assert rows.fill == pytest.approx(sum(lengths) / (len(rows) * T))
    assert 0 < rows.fill <= 1


@given(lengths=LENGTHS, T=WIDTHS)
def test_no_two_rows_would_fit_in_one(lengths, T):
    _, batch = all_rows(lengths, T)
    lightest_two = sorted((batch.targets != IGNORE).sum(dim=1).tolist())[:2]
    assert len(lightest_two) < 2 or sum(lightest_two) > T


@given(lengths=LENGTHS, T=WIDTHS, documents=st.integers(1, 80))
def test_some_documents_spread_over_all_are_packed_as_if_there_were_no_others(lengths, T, documents):
    count, bounds = min(documents, len(lengths)), np.append(0, np.cumsum(lengths))
    chosen = [i * len(lengths) // count for i in range(count)]
    few, alone = pack_rows(stream_of(lengths), T, documents), pack_rows(stream_of([lengths[i] for i in chosen]), T)
    every = np.arange(len(alone))
    assert len(few) == len(alone)
    ours, theirs = gather_batch(few, every), gather_batch(alone, every)
    held, as_numbered = theirs.targets != IGNORE, np.concatenate([np.arange(*bounds[i : i + 2]) for i in chosen])
    assert torch.equal(ours.targets != IGNORE, held)
    assert torch.equal(ours.segments, theirs.segments)
    assert ours.target_tokens == theirs.target_tokens
    assert ours.ids[held].tolist() == as_numbered[theirs.ids[held].numpy()].tolist()
    assert torch.equal(ours.targets[held], ours.ids[held] + 1)


@given(lengths=LENGTHS, T=WIDTHS, at_once=st.integers(1, 20))
def test_packing_in_portions_changes_nothing(lengths, T, at_once):
    whole = pack_rows(stream_of(lengths), T)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows_module, "DOCUMENTS_AT_ONCE", at_once)
        parts = pack_rows(stream_of(lengths), T)
    for name in ("piece_start", "piece_length", "first"):
        assert np.array_equal(getattr(whole, name), getattr(parts, name))


def test_words_of_usual_length_leave_little_empty():
    lengths = np.random.default_rng(0).integers(3, 13, size=5000).tolist()
    rows = pack_rows(stream_of(lengths), 32)
    assert rows.fill > 0.97
    assert len(rows) < 0.95 * next_fit(lengths, 32)


@given(sizes=SIZES, T=st.integers(20, 40))
def test_weights_of_one_mix_by_size_as_if_there_were_one_collection(sizes, T):
    lengths = list(itertools.chain(*([7] * n for n in sizes)))
    mixed = pack_rows(numbered_stream([(str(i), 1.0, [7] * n) for i, n in enumerate(sizes)]), T)
    alone = pack_rows(stream_of(lengths), T)
    assert mixed.mix == alone.mix == Mix((len(alone),), (1,))
    for name in ("piece_start", "piece_length", "first"):
        assert np.array_equal(getattr(mixed, name), getattr(alone, name))


@given(data=st.data(), T=WIDTHS, weights=WEIGHTS)
def test_collections_mixed_by_weight_share_no_row(data, T, weights):
    lengths = [data.draw(st.lists(st.integers(1, 45), max_size=12)) for _ in weights]
    lengths[-1] = lengths[-1] or [3]
    weights[0] = 1.25
    rows = pack_rows(
        numbered_stream([(str(i), w, x) for i, (w, x) in enumerate(zip(weights, lengths, strict=True))]), T
    )
    batch = gather_batch(rows, np.arange(len(rows)))
    collection_of = np.repeat(np.arange(len(weights)), [sum(x) for x in lengths])
    held = batch.targets != IGNORE
    assert sorted(batch.ids[held].tolist()) == list(range(sum(map(sum, lengths))))
    of_rows = [set(collection_of[ids[filled].numpy()]) for ids, filled in zip(batch.ids, held, strict=True)]
    assert all(len(collections) == 1 for collections in of_rows)
    firsts = [next(iter(collections)) for collections in of_rows]
    assert [firsts.count(i) for i, x in enumerate(lengths) if x] == list(rows.mix.sizes)
    assert firsts == sorted(firsts)
    assert rows.mix.turn == share_turn(
        [w for w, x in zip(weights, lengths, strict=True) if x] if len(rows.mix.sizes) > 1 else [1.0]
    )


@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=8))
def test_any_weights_become_a_turn_of_bounded_length(weights):
    turn = share_turn(weights)
    assert min(turn) >= 1
    assert sum(turn) <= 2**16 + len(weights)
    for whole, weight in zip(turn, weights, strict=True):
        assert abs(whole / sum(turn) - weight / sum(weights)) <= (1 + len(weights)) / 2**16


@given(documents=st.integers(1, 60))
def test_a_part_of_the_documents_is_of_every_collection(documents):
    stream = numbered_stream([("a", 1.0, [5] * 40), ("b", 1.0, [5] * 10), ("c", 1.0, [5] * 1)])
    rows = pack_rows(stream, 5, documents)
    taken = np.searchsorted([200, 250], rows.piece_start, side="right")
    assert np.bincount(taken).tolist() == [min(n, -(-documents * n // 51)) for n in (40, 10, 1)]
