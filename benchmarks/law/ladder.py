"""Which trials are made, the cheap ones for what only they can afford: rates, batches, shapes far from the best."""

from __future__ import annotations

from claims.corpora import CORPORA
from law.trials import Trial

BATCHES = {"words": 2048, "plays": 1024, "stories": 2112, "help": 2048}


def ladder_of(corpus: str) -> list[Trial]:
    """Return the trials of one corpus."""
    batch = BATCHES[corpus]
    trials = [
        *(Trial(corpus, width, layers, 1e12, batch) for width, layers in ((64, 2), (96, 2), (128, 2))),
        *(Trial(corpus, 96, 2, 1e12, batch, muon=factor) for factor in (0.5, 2.0)),
        *(Trial(corpus, 96, 2, 1e12, batch, adam=factor) for factor in (0.5, 2.0)),
        *(Trial(corpus, 96, 2, 1e12, size) for size in (batch // 2, batch * 2)),
        *(Trial(corpus, width, layers, 3e12, batch) for width, layers in ((96, 2), (128, 2), (128, 3))),
        *(Trial(corpus, width, layers, 1e13, batch) for width, layers in ((128, 2), (192, 3))),
        Trial(corpus, 192, 3, 3e13, batch),
    ]
    if corpus in ("plays", "help"):
        trials += [Trial(corpus, 96, 2, flops, batch, share=1 / 8) for flops in (1e12, 3e12)]
        trials += [Trial(corpus, 96, 2, 1e12, batch, share=1 / 32)]
    return trials


LADDER = [trial for corpus in CORPORA for trial in ladder_of(corpus)]
