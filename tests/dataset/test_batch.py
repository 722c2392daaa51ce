"""What batch.py promises: each row seen once an epoch, in an order that follows from the step, with the right targets.

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
    LONG_ROWS,
    Batch,
    _mix,
    batch_of_step,
    gather_batch,
    lay_out_turn,
    permutation,
    rows_of_step,
    turn_of_epoch,
    window_of_step,
)
from dozero.dataset.rows import Mix, count_epochs, pack_rows, share_turn
from dozero.model.transformer import Transformer
from dozero.settings import ModelConfig
from dozero.testing import numbered_stream

LENGTHS = st.lists(st.integers(1, 45), min_size=1, max_size=60)
WIDTHS = st.integers(1, 40)
SEEDS = st.integers(0, 2**64 - 1)


def stream_of(lengths):
    return numbered_stream([("", 1.0, lengths)])


def all_rows(lengths, T):
    rows = pack_rows(stream_of(lengths), T)
    return rows, gather_batch(rows, np.arange(len(rows)))


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


@given(data=st.data(), lengths=LENGTHS, T=WIDTHS)
def test_a_row_is_the_same_in_any_batch(data, lengths, T):
    rows, whole = all_rows(lengths, T)
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=8))
    batch = gather_batch(rows, np.array(chosen))
    for name in ("ids", "targets", "segments"):
        assert torch.equal(getattr(batch, name), getattr(whole, name)[chosen])
    assert batch.target_tokens == int((batch.targets != IGNORE).sum())


@given(lengths=LENGTHS, T=WIDTHS, per_shard=st.integers(1, 50))
def test_a_batch_is_the_same_however_the_stream_is_cut_into_shards(lengths, T, per_shard):
    _, whole = all_rows(lengths, T)
    rows = pack_rows(numbered_stream([("", 1.0, lengths)], per_shard), T)
    batch = gather_batch(rows, np.arange(len(rows)))
    assert len(rows.shards) == -(-(sum(lengths) + 1) // per_shard)
    for name in ("ids", "targets", "segments"):
        assert torch.equal(getattr(batch, name), getattr(whole, name))


# --- long documents ------------------------------------------------------------------------------------------------

LONG = st.lists(st.integers(1, 400), min_size=1, max_size=12)


def turned(lengths, T, turn):
    rows = pack_rows(stream_of(lengths), T)
    return rows, gather_batch(rows, np.arange(len(rows)), np.full(len(rows), turn))


@given(lengths=LONG, T=WIDTHS, turn=st.integers(0, 39))
def test_cut_anywhere_every_position_lands_once_before_the_token_after_it(lengths, T, turn):
    rows, batch = turned(lengths, T, turn % T)
    _, first = turned(lengths, T, 0)
    held = batch.targets != IGNORE
    assert sorted(batch.ids[held].tolist()) == list(range(sum(lengths)))
    assert torch.equal(batch.targets[held], batch.ids[held] + 1)
    assert torch.equal(held, first.targets != IGNORE), "rows are as full as before"
    assert batch.target_tokens == first.target_tokens
    assert rows.fill == pytest.approx(float(held.float().mean()))


@given(lengths=LONG, T=WIDTHS, turn=st.integers(0, 39))
def test_cut_anywhere_a_segment_holds_one_document_in_its_order(lengths, T, turn):
    _, batch = turned(lengths, T, turn % T)
    document_of = np.repeat(np.arange(len(lengths)), lengths)
    broken = dict.fromkeys(range(len(lengths)), 0)
    for ids, segments in zip(batch.ids, batch.segments, strict=True):
        documents = set()
        for segment in range(int(segments.max()) + 1):
            piece = ids[segments == segment].numpy()
            assert len(set(document_of[piece])) == 1
            assert (np.diff(piece) == 1).all()
            broken[document_of[piece[0]]] += document_of[piece[0]] in documents
            documents.add(document_of[piece[0]])
    assert all(broken[d] <= (length >= LONG_ROWS * T) for d, length in enumerate(lengths)), "one row of a long document"


def test_short_documents_are_cut_as_before_and_long_ones_so_much_further_on():
    lengths, T = [5, 100, 10], 10
    (_, before), (_, after) = turned(lengths, T, 0), turned(lengths, T, 3)
    begins = [sorted(int(row[0]) for row in batch.ids if 5 <= row[0] < 105) for batch in (before, after)]
    assert begins == [list(range(5, 105, T)), list(range(8, 105, T))]
    whole = {tuple(row.tolist()) for row in before.ids if not 5 <= row[0] < 105}
    assert whole == {tuple(row.tolist()) for row in after.ids if not 5 <= row[0] < 105}


@given(seed=SEEDS, T=WIDTHS)
def test_the_first_epoch_is_cut_where_documents_begin_and_others_anywhere(seed, T):
    turns = turn_of_epoch(np.arange(60), T, seed)
    assert turns[0] == 0
    assert ((turns >= 0) & (turns < T)).all()
    assert T == 1 or len(set(turns)) > 1


def test_every_cut_comes_about_equally_often():
    T, epochs = 16, 16_000
    found = np.bincount(turn_of_epoch(np.arange(1, epochs + 1), T, 1), minlength=T)
    assert ((found - epochs / T) ** 2 / (epochs / T)).sum() < 44.3  # 15 degrees of freedom: by chance once in 10,000


def test_epochs_are_cut_as_their_number_says():
    """A step of the second epoch is what gather_batch makes of its rows and its turn."""
    rows, seed = pack_rows(stream_of([200, 9, 170]), 10), 3
    per_step, step = 4, -(-len(rows) // 4)
    batch = batch_of_step(rows, per_step, seed, step)
    turns = np.full(per_step, turn_of_epoch(np.array([1]), 10, seed)[0])
    assert turns.all()
    assert torch.equal(batch.ids, gather_batch(rows, rows_of_step(rows.mix, per_step, seed, step), turns).ids)


# --- order ---------------------------------------------------------------------------------------------------------


def plain(count):
    """The mix of rows that take no turns."""
    return Mix((count,), (1,))


@given(count=st.integers(1, 60), per_step=st.integers(1, 100), seed=SEEDS)
def test_each_epoch_sees_each_row_once(count, per_step, seed):
    steps = -(-3 * count // per_step)
    seen = np.concatenate([rows_of_step(plain(count), per_step, seed, step) for step in range(steps)])
    assert all(len(rows_of_step(plain(count), per_step, seed, step)) == per_step for step in range(steps))
    for epoch in range(3):
        assert sorted(seen[epoch * count : (epoch + 1) * count]) == list(range(count))


@given(count=st.integers(1, 60), per_step=st.integers(1, 20), seed=SEEDS, step=st.integers(0, 10**9))
@settings(max_examples=30)
def test_a_step_is_found_without_the_steps_before_it(count, per_step, seed, step):
    now = rows_of_step(plain(count), per_step, seed, step)
    for other in (step + 7, 0, step + 1):
        rows_of_step(plain(count), per_step, seed, other)
    permutation.cache_clear()
    assert np.array_equal(now, rows_of_step(plain(count), per_step, seed, step))


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


# --- mixing --------------------------------------------------------------------------------------------------------

WEIGHTS = st.lists(st.integers(1, 400).map(lambda n: n / 100), min_size=2, max_size=6)
SIZES = st.lists(st.integers(1, 30), min_size=2, max_size=6)


WEIGHTED = st.lists(st.tuples(st.integers(1, 400).map(lambda n: n / 100), st.integers(1, 30)), min_size=2, max_size=6)


def mix_of(weighted):
    """The weights, and the mix, of (weight, rows) pairs."""
    weights, sizes = zip(*weighted, strict=True)
    return weights, Mix(sizes, share_turn(list(weights)))


def rows_given(mix, per_step, seed, steps):
    return np.concatenate([rows_of_step(mix, per_step, seed, step) for step in range(steps)])


@given(weighted=WEIGHTED, per_step=st.integers(1, 40), seed=SEEDS)
def test_every_prefix_holds_each_share_within_one_row(weighted, per_step, seed):
    weights, mix = mix_of(weighted)
    rows = rows_given(mix, per_step, seed, -(-400 // per_step))
    groups = np.searchsorted(np.cumsum(mix.sizes), rows, side="right")
    given_so_far = np.cumsum(groups[:, None] == np.arange(len(weights)), axis=0)
    ideal = np.outer(np.arange(1, len(rows) + 1), np.array(weights) / sum(weights))
    assert np.abs(given_so_far - ideal).max() < 1


@given(weighted=WEIGHTED, per_step=st.integers(1, 40), seed=SEEDS)
def test_no_row_comes_twice_within_an_epoch_of_its_collection(weighted, per_step, seed):
    _, mix = mix_of(weighted)
    rows = rows_given(mix, per_step, seed, -(-300 // per_step))
    orders = set()
    for end, size in zip(np.cumsum(mix.sizes), mix.sizes, strict=True):
        own = rows[(rows >= end - size) & (rows < end)]
        for at in range(0, len(own) - size + 1, size):
            assert sorted(own[at : at + size]) == list(range(end - size, end))
            orders.add((size, *(own[at : at + size] - end)))
    epochs = sum(
        np.sum((rows >= e - n) & (rows < e)) // n for e, n in zip(np.cumsum(mix.sizes), mix.sizes, strict=True)
    )
    if min(mix.sizes) >= 20:
        assert len(orders) == epochs, "each epoch of each collection has an order of its own"


@given(weighted=WEIGHTED, per_step=st.integers(1, 20), seed=SEEDS, step=st.integers(0, 10**9))
def test_a_mixed_step_is_found_without_the_steps_before_it(weighted, per_step, seed, step):
    _, mix = mix_of(weighted)
    now = rows_of_step(mix, per_step, seed, step)
    both = rows_of_step(mix, 2 * per_step, seed, step // 2)
    permutation.cache_clear()
    lay_out_turn.cache_clear()
    assert np.array_equal(now, rows_of_step(mix, per_step, seed, step))
    assert np.array_equal(now, np.split(both, 2)[step % 2]), "rows do not depend on how many make a step"


def test_an_odd_turn_keeps_its_shares_too():
    """Weights whose least whole numbers are too large are rounded; the turn still obeys the quota at every place."""
    turn = share_turn([1.2345678, 0.0001234, 3.3333333, 0.7654321])
    groups, before = lay_out_turn(turn)
    given_so_far = np.cumsum(groups[:, None] == np.arange(4), axis=0)
    ideal = np.outer(np.arange(1, sum(turn) + 1), np.array(turn) / sum(turn))
    assert np.abs(given_so_far - ideal).max() < 1
    assert given_so_far[-1].tolist() == list(turn)
    assert np.array_equal(before, given_so_far[np.arange(len(groups)), groups] - 1)


def test_epochs_are_counted_for_each_collection():
    stream = numbered_stream([("small", 3.0, [10] * 10), ("none", 9.0, []), ("large", 1.0, [10] * 100)])
    assert count_epochs(stream, 2000) == {"small": 15.0, "large": 0.5}
    assert count_epochs(numbered_stream([("a", 1.0, [10] * 10), ("b", 1.0, [10] * 30)]), 800) == {"a": 2.0, "b": 2.0}
    rows = pack_rows(stream, 10)
    assert rows.mix == Mix((10, 100), (3, 1))
    given_rows = rows_given(rows.mix, 8, 0, 25)
    assert np.bincount(given_rows, minlength=110).tolist() == [15] * 10 + np.bincount(given_rows)[10:].tolist()


# --- batches -------------------------------------------------------------------------------------------------------


def test_the_batch_of_a_step_holds_its_rows():
    rows, whole = all_rows([3, 9, 4, 8, 20, 1, 7, 7], 10)
    batch = batch_of_step(rows, 2, seed=5, step=1)
    assert torch.equal(batch.ids, whole.ids[rows_of_step(rows.mix, 2, 5, 1)])
    assert rows.mix == plain(len(rows))


def test_a_batch_on_the_cpu_stays_as_it_is():
    _, batch = all_rows([3, 4], 8)
    assert batch.to(torch.device("cpu")) is batch
    moved = batch.to(torch.device("meta"))
    assert isinstance(moved, Batch)
    assert moved.ids.device.type == moved.targets.device.type == moved.segments.device.type == "meta"
    assert moved.target_tokens == batch.target_tokens


@given(data=st.data(), lengths=st.lists(st.integers(1, 20), min_size=2, max_size=12))
@settings(max_examples=20)
def test_no_document_is_judged_by_what_shares_its_row(data, lengths):
    """Through the model: other tokens in all other documents, and in the padding, leave its surprise as it was."""
    T, vocab_size = 24, 11
    shape = ModelConfig(d_model=16, n_layers=2, n_heads=2, n_kv_heads=1, head_dim=8, d_ff=32, max_seq_len=T)
    model = Transformer(shape, vocab_size)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel())))
    rows = pack_rows(stream_of(lengths), T)
    chosen = data.draw(st.integers(0, len(rows) - 1))
    row = gather_batch(rows, np.array([chosen]))
    judged = data.draw(st.integers(0, int(row.segments.max())))
    mine = row.segments == judged
    surprises = []
    for offset in (0, 5):
        ids = torch.where(mine, row.ids, row.ids + offset) % vocab_size
        logits = model(ids, row.segments).flatten(0, 1)
        targets = torch.where(row.targets == IGNORE, IGNORE, row.targets % vocab_size).flatten()
        loss = torch.nn.functional.cross_entropy(logits, targets, ignore_index=IGNORE, reduction="none")
        surprises.append(loss.view(1, T)[mine])
    assert torch.equal(*surprises)


def test_what_does_not_fill_a_row_costs_nothing_and_teaches_nothing():
    rows = pack_rows(stream_of([3, 4]), 10)
    batch = gather_batch(rows, np.array([0]))
    logits = torch.randn(1, 10, 8, generator=torch.Generator().manual_seed(0), requires_grad=True)
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), ignore_index=IGNORE)
    loss.backward()
    assert (logits.grad[:, 7:] == 0).all()
    assert (logits.grad[:, :7] != 0).all()


@given(passed=st.sets(st.integers(0, 60), max_size=20))
def test_steps_take_the_windows_that_are_left_in_order(passed):
    left = [window for window in range(100) if window not in passed]
    assert [window_of_step(step, sorted(passed)) for step in range(40)] == left[:40]
