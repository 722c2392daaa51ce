"""Which trials are made: shapes about the best for their operations, few since each is a whole run."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from claims.corpora import CORPORA, OTHERS
from law.trials import Trial

BATCHES = {"words": 2048, "plays": 1024, "stories": 2112, "help": 2048}
ADAM = {"words": 1.0, "plays": 1.0, "stories": 1.0, "help": 2.0}
"""Factor on the rate of AdamW in the settings, which suit larger batches of `help`."""


def ladder_of(corpus: str) -> list[Trial]:
    """Return the trials of one corpus."""
    usual = partial(Trial, corpus, batch=BATCHES[corpus], adam=ADAM[corpus])
    trials = [
        *(usual(width, layers, 1e12) for width, layers in ((64, 2), (96, 2), (128, 2))),
        *(usual(width, layers, 3e12) for width, layers in ((96, 2), (128, 2))),
        *(usual(width, layers, 1e13) for width, layers in ((128, 2), (160, 2), (192, 3))),
        usual(192, 3, 3e13),
        usual(256, 4, 1e14),
    ]
    if corpus == "stories":  # to which a third layer is worth nothing in such a time: the law holds for two here
        trials = [trial for trial in trials if trial.flops < 1e14]
        trials += [usual(192, 2, 1e13), usual(160, 2, 4e13), usual(192, 3, 5e13)]
        trials += [usual(96, 2, flops) for flops in (1.5e12, 2e12)]  # a minute of a laptop, where the loss falls fast
    if corpus in ("plays", "help"):
        trials += [usual(128, 3, 1e13)]
        # What seeing a text again and again is worth.
        trials += [usual(96, 2, flops, share=1 / 8) for flops in (1e12, 3e12, 1e13)]
        trials += [usual(64, 2, 3e12, share=1 / 8), usual(192, 3, 3e12, share=1 / 8), usual(128, 2, 1e13, share=1 / 2)]
    if corpus == "help":  # whose rates had not been tried before
        trials += [usual(96, 2, 1e12, adam=1.0), usual(96, 2, 1e12, adam=4.0), usual(96, 2, 1e12, muon=2.0)]
        trials += [usual(128, 2, 1e13, adam=4.0)]
    return trials + [replace(usual(96, 2, 3e12), corpus=other) for other in OTHERS[corpus]]


LADDER = [trial for corpus in CORPORA for trial in ladder_of(corpus)]
