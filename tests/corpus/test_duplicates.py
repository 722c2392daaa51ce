"""Clusters of documents that share a band: the earliest stays, whatever the order in which the bands tell."""

import networkx as nx
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dozero.corpus.duplicates import exact_hash, find_duplicates, first_of_equal, join
from dozero.corpus.minhash import sign_many
from dozero.corpus.parts import Parts
from dozero.settings import CurateConfig

tables = st.integers(1, 4).flatmap(
    lambda bands: st.lists(st.lists(st.integers(0, 12), min_size=bands, max_size=bands), min_size=1, max_size=40)
)


def clusters_by_networkx(table):
    """The same by a library of graphs: documents are joined where they share a band."""
    graph = nx.Graph()
    graph.add_nodes_from(range(len(table)))
    for band in range(len(table[0])):
        holders = {}
        for document, row in enumerate(table):
            graph.add_edge(document, holders.setdefault(row[band], document))
    earliest = {n: min(cluster) for cluster in nx.connected_components(graph) for n in cluster}
    return [earliest[n] for n in range(len(table))]


@given(tables)
def test_clusters_are_the_connected_components(table):
    assert find_duplicates(np.array(table, np.uint64)).tolist() == clusters_by_networkx(table)


@given(tables, st.randoms())
def test_order_of_bands_does_not_matter(table, random):
    signatures = np.array(table, np.uint64)
    order = random.sample(range(signatures.shape[1]), signatures.shape[1])
    assert find_duplicates(signatures[:, order]).tolist() == find_duplicates(signatures).tolist()


def test_a_long_chain_is_one_cluster():
    places = np.random.default_rng(0).permutation(20_000).astype(np.uint64)
    assert not find_duplicates(np.stack([places // 2, (places + 1) // 2], axis=1)).any()


def test_signatures_may_lie_on_disk(tmp_path):
    signatures = np.random.default_rng(0).integers(0, 5000, (10_000, 3)).astype(np.uint64)
    table = np.memmap(tmp_path / "signs.bin", np.uint64, "w+", shape=(3, 10_000))
    table[:] = signatures.T
    assert (find_duplicates(table.T) == find_duplicates(signatures)).all()


def test_nothing_has_no_duplicates():
    assert find_duplicates(np.empty((0, 14), np.uint64)).tolist() == []
    assert first_of_equal(np.empty(0, np.uint64)).tolist() == []
    assert find_duplicates(np.empty((3, 0), np.uint64)).tolist() == [0, 1, 2]


@given(st.lists(st.integers(0, 9)))
def test_first_of_equal_is_the_index_of_a_list(values):
    assert first_of_equal(np.array(values, np.uint64)).tolist() == [values.index(value) for value in values]


def test_clusters_are_joined_by_their_earliest():
    root = np.array([0, 1, 1, 3, 3])
    assert join(root, np.array([4]), np.array([2])).tolist() == [0, 1, 1, 1, 1]
    assert root.tolist() == [0, 1, 1, 3, 3]


@given(st.text(), st.text())
def test_exact_hash_tells_texts_apart_but_for_case_and_space(left, right):
    is_same = left.lower().split() == right.lower().split()
    assert (exact_hash(left) == exact_hash(right)) == is_same
    assert exact_hash(f"\n {left.upper().lower()}\t") == exact_hash(left.upper().lower())
    assert 0 <= exact_hash(left) < 1 << 64


def test_unrelated_texts_stay_and_planted_ones_go():
    """A thousand texts of a hundred common words, some copied with a word changed; what goes is only copies."""
    rng = np.random.default_rng(0)
    texts = [" ".join(f"w{n}" for n in rng.zipf(1.3, 100) % 5000) for _ in range(1000)]
    copies = [text.replace(" ", " outra ", 1) for text in texts[:300]]
    signatures = sign_many([Parts(text) for text in texts + copies], CurateConfig())
    earliest = find_duplicates(signatures)
    assert earliest[:1000].tolist() == list(range(1000))
    caught = earliest[1000:] != np.arange(1000, 1300)
    assert caught.mean() > 0.98  # similarity 0.95 and more
    assert (earliest[1000:][caught] == np.arange(300)[caught]).all()
