"""How much texts repeat themselves and each other: figures by which settings of sampling compare."""

from __future__ import annotations

from collections.abc import Sequence


def repeated_share(texts: Sequence[Sequence[int]], n: int = 4) -> float:
    """Return the share of runs of n tokens that came before in their own text; 0 where no text has so many.

    >>> repeated_share([[1, 2, 1, 2, 1, 2]], n=2)
    0.6
    """
    runs = [_runs(text, n) for text in texts]
    total = sum(map(len, runs))
    return 1 - sum(len(set(own)) for own in runs) / total if total else 0.0


def distinct_share(texts: Sequence[Sequence[int]], n: int) -> float:
    """Return how many different runs of n tokens all texts hold, over how many runs they hold (distinct-n, Li et al. 2016).

    >>> distinct_share([[1, 2, 3], [1, 2, 4]], n=2)
    0.75
    """
    runs = [run for text in texts for run in _runs(text, n)]
    return len(set(runs)) / len(runs) if runs else 0.0


def _runs(text: Sequence[int], n: int) -> list[tuple[int, ...]]:
    return [tuple(text[i : i + n]) for i in range(len(text) - n + 1)]
