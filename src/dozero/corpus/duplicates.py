"""Which documents say the same as an earlier one: exactly, or by their MinHash signatures.

Documents that share a band are joined into clusters, and the earliest of a cluster stays (Penedo et al. 2024,
https://arxiv.org/abs/2406.17557, do the same; Lee et al. 2022, https://arxiv.org/abs/2107.06499, check each pair once
more). So a chain is one cluster: where A resembles B and B resembles C, only A stays, be C ever so far from A.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray


def exact_hash(text: str) -> int:
    """Return 64 bits that are equal for texts equal but for case and space.

    >>> exact_hash("Bom  dia,   Mundo") == exact_hash("bom dia, mundo")
    True
    """
    normal = " ".join(text.lower().split())
    return int.from_bytes(hashlib.blake2b(normal.encode(), digest_size=8).digest(), "little")


def first_of_equal(hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return for each place the first place that holds the same hash.

    >>> first_of_equal(np.array([7, 5, 7, 5, 9], dtype=np.uint64)).tolist()
    [0, 1, 0, 1, 4]
    """
    _, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    return first[inverse]


def find_duplicates(signatures: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return for each document the earliest of its cluster, itself if it stays; one row of band hashes a document.

    One band is in memory at a time, about 50 bytes a document.

    >>> find_duplicates(np.array([[1, 10], [2, 20], [3, 10], [2, 30], [3, 40]], dtype=np.uint64)).tolist()
    [0, 1, 0, 1, 0]
    """
    root = np.arange(len(signatures))
    for band in range(signatures.shape[1]):
        first = first_of_equal(np.ascontiguousarray(signatures[:, band]))
        later = np.flatnonzero(first != np.arange(len(first)))
        root = join(root, later, first[later])
    return root


def join(root: NDArray[np.int64], left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the earliest member of each one's cluster after each left is joined with its right.

    `root` holds the same from before. Each round hooks the later root of every pair to the earliest it meets, all at
    once, then shortens the paths to one step.
    """
    while len(left):
        left, right = root[left], root[right]
        apart = left != right
        left, right = left[apart], right[apart]
        root = root.copy()
        np.minimum.at(root, np.maximum(left, right), np.minimum(left, right))
        while ((above := root[root]) != root).any():
            root = above
    return root
