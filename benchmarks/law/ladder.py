"""Which trials are made: shapes about the best for their operations, few since each is a whole run."""

from __future__ import annotations

from claims.corpora import CORPORA, OTHERS
from law.trials import Trial

BATCHES = {"words": 2048, "plays": 1024, "stories": 2112, "help": 2048}


def ladder_of(corpus: str) -> list[Trial]:
    """Return the trials of one corpus."""
    batch = BATCHES[corpus]
    trials = [
        *(Trial(corpus, width, layers, 1e12, batch) for width, layers in ((64, 2), (96, 2), (128, 2))),
        *(Trial(corpus, width, layers, 3e12, batch) for width, layers in ((96, 2), (128, 2))),
        *(Trial(corpus, width, layers, 1e13, batch) for width, layers in ((128, 2), (192, 3))),
        Trial(corpus, 192, 3, 3e13, batch),
    ]
    if corpus in ("plays", "help"):  # what seeing a text again and again is worth
        trials += [Trial(corpus, 96, 2, flops, batch, share=1 / 8) for flops in (1e12, 3e12)]
    if corpus == "help":  # whose rates had not been tried before
        trials += [Trial(corpus, 96, 2, 1e12, batch, muon=2.0), Trial(corpus, 96, 2, 1e12, batch, adam=2.0)]
    return trials + [Trial(other, 96, 2, 1e12, batch) for other in OTHERS[corpus]]


LADDER = [trial for corpus in CORPORA for trial in ladder_of(corpus)]
