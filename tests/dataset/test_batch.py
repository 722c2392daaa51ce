"""What batch.py promises: whole documents in full rows, each seen once an epoch, in an order that follows from the step.

The streams here hold 0, 1, 2, ... instead of tokens, so that each position of a batch tells where it came from.
"""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dozero.dataset.batch import (
    IGNORE,
    Batch,
    _mix,
    batch_of_step,
    gather_batch,
    pack_rows,
    permutation,
    rows_of_step,
)
from dozero.dataset.shards import TokenStream

LENGTHS = st.lists(st.integers(1, 45), min_size=1, max_size=60)
WIDTHS = st.integers(1, 40)
SEEDS = st.integers(0, 2**64 - 1)


def stream_of(lengths):
    bounds = np.cumsum([0, *lengths])
    return TokenStream(np.arange(bounds[-1] + 1, dtype=np.uint32), bounds[:-1].astype(np.int64), int(bounds[-1]), 0)


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


# --- packing -------------------------------------------------------------------------------------------------------


@given(lengths=LENGTHS, T=WIDTHS)
def test_every_position_lands_exactly_once(lengths, T):
    rows, batch = all_rows(lengths, T)
    held = batch.targets != IGNORE
    assert batch.ids.shape == batch.targets.shape == batch.segments.shape == (len(rows), T)
    assert sorted(batch.ids[held].tolist()) == list(range(sum(lengths)))
    assert batch.target_tokens == sum(lengths) == int(held.sum())


@given(lengths=LENGTHS, T=WIDTHS)
def test_every_target_is_the_next_token(lengths, T):
    _, batch = all_rows(lengths, T)
    held = batch.targets != IGNORE
    assert torch.equal(batch.targets[held], batch.ids[held] + 1)


@given(lengths=LENGTHS, T=WIDTHS)
def test_what_a_row_does_not_fill_has_no_target_and_a_document_of_its_own(lengths, T):
    _, batch = all_rows(lengths, T)
    held = batch.targets != IGNORE
    assert torch.equal(held, held.cummin(dim=1).values), "rows are filled from the left, without gaps"
    assert held[:, 0].all(), "no row is empty"
    assert torch.equal(held, batch.segments >= 0)
    assert (batch.ids[~held] == 0).all()
    assert (batch.segments[~held] == -1).all()


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
def test_the_first_documents_are_packed_as_if_there_were_no_others(lengths, T, documents):
    few, alone = pack_rows(stream_of(lengths), T, documents), pack_rows(stream_of(lengths[:documents]), T)
    every = np.arange(len(alone))
    assert len(few) == len(alone)
    for ours, theirs in zip(
        vars(gather_batch(few, every)).values(), vars(gather_batch(alone, every)).values(), strict=True
    ):
        assert ours == theirs if isinstance(ours, int) else torch.equal(ours, theirs)


@given(data=st.data(), lengths=LENGTHS, T=WIDTHS)
def test_a_row_is_the_same_in_any_batch(data, lengths, T):
    rows, whole = all_rows(lengths, T)
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=8))
    batch = gather_batch(rows, np.array(chosen))
    for name in ("ids", "targets", "segments"):
        assert torch.equal(getattr(batch, name), getattr(whole, name)[chosen])
    assert batch.target_tokens == int((batch.targets != IGNORE).sum())


def test_words_of_usual_length_leave_little_empty():
    lengths = np.random.default_rng(0).integers(3, 13, size=5000).tolist()
    rows = pack_rows(stream_of(lengths), 32)
    assert rows.fill > 0.97
    assert len(rows) < 0.95 * next_fit(lengths, 32)


# --- order ---------------------------------------------------------------------------------------------------------


@given(count=st.integers(1, 60), per_step=st.integers(1, 100), seed=SEEDS)
def test_each_epoch_sees_each_row_once(count, per_step, seed):
    steps = -(-3 * count // per_step)
    seen = np.concatenate([rows_of_step(count, per_step, seed, step) for step in range(steps)])
    assert all(len(rows_of_step(count, per_step, seed, step)) == per_step for step in range(steps))
    for epoch in range(3):
        assert sorted(seen[epoch * count : (epoch + 1) * count]) == list(range(count))


@given(count=st.integers(1, 60), per_step=st.integers(1, 20), seed=SEEDS, step=st.integers(0, 10**9))
@settings(max_examples=30)
def test_a_step_is_found_without_the_steps_before_it(count, per_step, seed, step):
    now = rows_of_step(count, per_step, seed, step)
    for other in (step + 7, 0, step + 1):
        rows_of_step(count, per_step, seed, other)
    permutation.cache_clear()
    assert np.array_equal(now, rows_of_step(count, per_step, seed, step))


@given(count=st.integers(0, 200), seed=SEEDS, epoch=st.integers(0, 2**40))
def test_a_permutation_is_one(count, seed, epoch):
    assert sorted(permutation(count, seed, epoch)) == list(range(count))


def test_seeds_and_epochs_give_orders_of_their_own():
    orders = {permutation(50, seed, epoch).tobytes() for seed, epoch in itertools.product(range(30), range(30))}
    assert len(orders) == 900


def test_each_row_comes_first_about_equally_often():
    count, epochs = 10, 4000
    first = np.bincount([permutation(count, 1, epoch)[0] for epoch in range(epochs)], minlength=count)
    chi_square = ((first - epochs / count) ** 2 / (epochs / count)).sum()
    assert chi_square < 33.7  # 9 degrees of freedom: passed by chance once in 10,000


def test_the_mix_is_splitmix64():
    """The test vector of https://rosettacode.org/wiki/Pseudo-random_numbers/Splitmix64 for the seed 1234567."""
    vector = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821]
    states = np.uint64(1234567) + np.arange(5, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    assert _mix(states).tolist() == vector


def test_the_order_is_the_same_in_every_version():
    """Whoever continues a run with a newer dozero must get the batches that the older one would have made."""
    assert permutation(10, 0, 0).tolist() == [4, 8, 0, 1, 7, 6, 2, 5, 3, 9]
    assert permutation(10, 7, 3).tolist() == [2, 7, 6, 1, 8, 9, 0, 3, 4, 5]


def test_the_batch_of_a_step_holds_its_rows():
    rows, whole = all_rows([3, 9, 4, 8, 20, 1, 7, 7], 10)
    batch = batch_of_step(rows, 3, seed=5, step=2)
    assert torch.equal(batch.ids, whole.ids[rows_of_step(len(rows), 3, 5, 2)])


def test_a_batch_on_the_cpu_stays_as_it_is():
    _, batch = all_rows([3, 4], 8)
    assert batch.to(torch.device("cpu")) is batch
    moved = batch.to(torch.device("meta"))
    assert isinstance(moved, Batch)
    assert moved.ids.device.type == moved.targets.device.type == moved.segments.device.type == "meta"
    assert moved.target_tokens == batch.target_tokens
