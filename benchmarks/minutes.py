"""What `--minutes` claims: the time is kept and the loss foretold, for 1, 3 and 10 minutes on four kinds of text.

    python benchmarks/minutes.py [words plays stories help] [--quick] [--json]

Whole commands in fresh folders, as a user would type them: `dozero hello words --minutes 3`, or `dozero train --minutes 3`
in a workspace. Time within 10%, the loss within 3% of what was said beforehand; what is said is all of the minutes, or
fewer where the text is too small to be of use for longer. About an hour on two cores; --quick
takes a minute of words alone. Needs what benchmarks/claims/corpora.py names.
"""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from claims.claim import Claim, run_claims
from claims.corpora import CORPORA, write_corpus_workspace

MINUTES = (1.0, 3.0, 10.0)
TIME_BAR, LOSS_BAR = 0.10, 0.03


def keep_time_and_promise(corpus: str, quick: bool) -> Iterator[Claim]:
    """Spend the minutes on a corpus, each time from nothing, and hold what came of them against what was said."""
    if quick and corpus != CORPORA[0]:
        return
    for minutes in MINUTES[:1] if quick else MINUTES:
        with tempfile.TemporaryDirectory() as name:
            seconds, told_s, foretold, got = spend(corpus, minutes, Path(name))
        share, off = seconds / told_s, got / foretold - 1
        yield Claim(f"{corpus}, {minutes:g} min: seconds of the whole command (theirs: foretold)", seconds, told_s, share, f"1 ± {TIME_BAR:g}", abs(share - 1) <= TIME_BAR)  # fmt: skip
        yield Claim(f"{corpus}, {minutes:g} min: bits per byte (theirs: foretold)", got, foretold, 1 + off, f"1 ± {LOSS_BAR:g}", abs(off) <= LOSS_BAR)  # fmt: skip


def spend(corpus: str, minutes: float, folder: Path) -> tuple[float, float, float, float]:
    """Return the seconds of the command and those foretold, and the held-out bits per byte foretold and reached."""
    if corpus in ("words", "stories"):
        command = ["hello", corpus, "--lang", "pt", "--out", str(folder / corpus)]
    else:
        command = ["train", str(write_corpus_workspace(corpus, folder / corpus))]
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "dozero", *command, "--minutes", f"{minutes:g}", "--json"],
        cwd=folder, stdout=subprocess.PIPE, text=True, encoding="utf-8", check=True,
    )  # fmt: skip
    seconds = time.perf_counter() - began
    events = {event["event"]: event for event in map(json.loads, done.stdout.splitlines())}
    plan, got = events["Planned"], events["Compared"]["got"]
    print(f"{corpus}, {minutes:g} min: {plan['n_layers']} layers of {plan['d_model']}, {plan['epochs']:.2f} epochs", file=sys.stderr)  # fmt: skip
    return seconds, 60 * plan["minutes"], plan["bits_per_byte"], got


if __name__ == "__main__":
    run_claims(__doc__, {corpus: functools.partial(keep_time_and_promise, corpus) for corpus in CORPORA})
