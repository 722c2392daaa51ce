"""The law behind `--minutes`: trial runs of several shapes and lengths on four corpora, and constants fitted to them.

    python benchmarks/fit_law.py [law] [--quick] [--json]
    python benchmarks/fit_law.py train FOLDER [--corpora plays help] [--most 3e12] [--pause FILE]
    python benchmarks/fit_law.py write

By itself it fits benchmarks/law/runs.jsonl again and holds the table of the package against it. `train` makes the trials
that the file lacks, in FOLDER, one thread to a process; it may be stopped at any time and called again, and for each
corpus apart. `write` puts the constants into src/dozero/train/law.toml.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from claims.claim import Claim, at_most, run_claims
from claims.corpora import CORPORA

HERE = Path(__file__).resolve().parent
RUNS, TABLE = HERE / "law" / "runs.jsonl", HERE.parent / "src" / "dozero" / "train" / "law.toml"
PROMISE = 0.03


def law(quick: bool) -> Iterator[Claim]:  # noqa: ARG001 - fitting takes seconds
    """Hold the table of the package against the trials."""
    from law.table import fit_kinds, table_text
    from law.trials import read_trials

    kinds = fit_kinds(list(read_trials(RUNS)))
    for kind in kinds:
        yield at_most(f"law of {kind.name}: largest error of {len(kind.trials)} trials", kind.worst, PROMISE)
        yield Claim(f"law of {kind.name}: largest error on texts left out", kind.worst_elsewhere, 0, 0, "told", True)
    same = TABLE.read_text(encoding="utf-8") == table_text(kinds)
    yield Claim("law: the table of the package is that of these trials", same, 1, float(same), "the same", same)


def train(arguments: list[str]) -> None:
    """Make the trials that are missing."""
    from law.ladder import LADDER
    from law.trials import make_trials

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the corpora are made")
    parser.add_argument("--corpora", nargs="*", default=CORPORA, help="only these")
    parser.add_argument("--most", type=float, default=1e15, help="only trials of so many operations")
    parser.add_argument("--pause", type=Path, help="wait while this file exists")
    parser.add_argument("--out", type=Path, default=RUNS, help="where results are added")
    args = parser.parse_args(arguments)
    trials = [t for t in LADDER if t.corpus in args.corpora and t.flops <= args.most]
    make_trials(trials, args.folder, args.out, args.pause)


def write() -> None:
    """Write the table of the package."""
    from law.table import fit_kinds, table_text
    from law.trials import read_trials

    TABLE.write_text(table_text(fit_kinds(list(read_trials(RUNS)))), encoding="utf-8")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["train", *rest]:
            train(rest)
        case ["write"]:
            write()
        case _:
            run_claims(__doc__, {"law": law})
