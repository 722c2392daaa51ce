"""The table of the law: fitted to trials, held against texts that it was not fitted to, and written as TOML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from claims.corpora import CORPORA, OTHERS
from law.fitting import fit, predictions
from law.ladder import ADAM

from dozero.train.law import MOST_EPOCHS
from dozero.train.plan import LAWFUL_STEPS

KINDS = {
    "words": ("words", "words in Portuguese"),
    "plays": ("characters", "plays in English, character by character"),
    "stories": ("stories", "stories in Portuguese, made by a grammar"),
    "help": ("text", "help pages in Portuguese"),
}
COUNTED_ORDER = 3

Trial = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """The law of one kind of text."""

    name: str
    corpus: str
    shared: dict[str, float]
    own: dict[str, float]
    trials: list[Trial]
    elsewhere: list[Trial]

    @property
    def counted_bits(self) -> float:
        """What counting reaches on the text fitted on, in bits per byte."""
        return self.trials[0]["counted_bits"][COUNTED_ORDER - 1]

    @property
    def worst(self) -> float:
        """Largest error among the trials, as a share."""
        return max(abs(foretold / t["bits_per_byte"] - 1) for t, foretold in self._foretold(self.trials))

    @property
    def worst_elsewhere(self) -> float:
        """Largest error on texts left out, their hardness by counting, as a share."""
        hardness = [t["counted_bits"][COUNTED_ORDER - 1] / self.counted_bits for t in self.elsewhere]
        pairs = zip(self._foretold(self.elsewhere), hardness, strict=True)
        return max((abs(h * foretold / t["bits_per_byte"] - 1) for (t, foretold), h in pairs), default=0.0)

    def _foretold(self, trials: list[Trial]) -> list[tuple[Trial, float]]:
        return list(zip(trials, predictions(self.shared, self.own, trials).tolist(), strict=True))


def fit_kinds(trials: list[Trial]) -> list[Kind]:
    """Return the law of each kind of text; trials with other rates or batches are no part of it."""
    kind_of = {name: corpus for corpus in CORPORA for name in (corpus, *OTHERS[corpus])}
    usual = [
        t for t in trials
        if t["muon"] == 1 and t["adam"] == ADAM[kind_of[t["corpus"]]] and t["steps"] >= LAWFUL_STEPS
        and t["tokens"] <= MOST_EPOCHS * t["unique_tokens"]
    ]  # fmt: skip
    fitted = fit([t for t in usual if t["corpus"] in CORPORA])
    return [
        Kind(
            KINDS[corpus][0], corpus, fitted.shared, fitted.own[corpus],
            [t for t in usual if t["corpus"] == corpus], [t for t in usual if t["corpus"] in OTHERS[corpus]],
        )
        for corpus in CORPORA
    ]  # fmt: skip


def table_text(kinds: list[Kind]) -> str:
    """Return the table as law.toml has it."""
    shared = {**kinds[0].shared, "counted_order": COUNTED_ORDER}
    head = "# Made by benchmarks/fit_law.py from benchmarks/law/runs.jsonl; train/law.py says what the names mean.\n"
    roughest = max(kind.worst_elsewhere for kind in kinds)
    return head + "\n".join([_section("shared", shared), *(_section(k.name, _row(k, roughest)) for k in kinds)])


def _row(kind: Kind, roughest: float) -> dict[str, Any]:
    first = next(t for t in kind.trials if t["share"] == 1)
    return {
        "fitted_on": KINDS[kind.corpus][1],
        **kind.own,
        "counted_bits": kind.counted_bits,
        "least_flops": min(t["training_flops"] for t in kind.trials),
        "most_flops": max(t["training_flops"] for t in kind.trials),
        "trials": len(kind.trials),
        "error": kind.worst,
        "error_elsewhere": max(kind.worst, kind.worst_elsewhere) if kind.elsewhere else roughest,
        **{name: first[name] for name in ("batch_tokens", "muon_lr", "adam_lr", "momentum")},
    }


def _section(name: str, values: dict[str, Any]) -> str:
    return f"[{name}]\n" + "".join(f"{key} = {_value(value)}\n" for key, value in values.items())


def _value(value: float | int | str) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    return str(value) if isinstance(value, int) else f"{value:.5g}"
