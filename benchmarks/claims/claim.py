"""What a benchmark says: one claim a line, ours against theirs, and whether the bar is met."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Claim:
    """One measured claim: `ours` against `theirs`, their ratio, and the bar it must meet."""

    claim: str
    ours: float
    theirs: float
    ratio: float
    bar: str
    holds: bool


def at_least(claim: str, ours: float, bar: float) -> Claim:
    """Return the claim that `ours` is at least `bar`."""
    return Claim(claim, ours, bar, ours / bar if bar else ours, f">= {bar:g}", ours >= bar)


def at_most(claim: str, ours: float, bar: float) -> Claim:
    """Return the claim that `ours` is at most `bar`."""
    return Claim(claim, ours, bar, ours / bar if bar else ours, f"<= {bar:g}", ours <= bar)


def run_claims(description: str | None, groups: dict[str, Callable[[bool], Iterator[Claim]]]) -> None:
    """Measure the groups asked for, print each claim as it is known, exit 1 if a bar falls short.

    Each group is called with whether a smoke run is enough (`--quick`), whose figures mean little.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("groups", nargs="*", choices=[*groups, []], help=f"only these: {', '.join(groups)}")
    parser.add_argument("--quick", action="store_true", help="a smoke run: shorter, its figures mean little")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    args = parser.parse_args()
    all_hold = True
    for name in args.groups or groups:
        for claim in groups[name](args.quick):
            all_hold &= claim.holds
            print(json.dumps(asdict(claim), ensure_ascii=False) if args.json else line_of(claim), flush=True)
    sys.exit(0 if args.quick or all_hold else 1)


def line_of(claim: Claim) -> str:
    """Return a claim as one line of the table."""
    verdict = "ok  " if claim.holds else "MISS"
    return f"{verdict} {claim.claim:<76} {claim.ours:>11.4g} {claim.theirs:>11.4g} {claim.ratio:>8.3f}  {claim.bar}"
