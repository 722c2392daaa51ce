"""What went well or wrong in a run, told from its logs: findings, each with its evidence and with what to change.

The thresholds come from runs made for the purpose (JOURNAL.md): made-up words, a model of two blocks 32 wide, 150 steps, learning
rates of 1/30 to 100 times those of the presets.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dozero.train.run_facts import RunFacts

FEWEST_LINES = 4
"""Lines of loss below which nothing is said of its course."""
HIGH_RATIO, LOW_RATIO = 0.1, 0.004
"""Update over weights of the blocks at the full rate, the most in any look. Measured at 1/10, 1/3, 1, 3 and 10 times the rate
of the presets: 0.002, 0.007, 0.02, 0.07 and 0.18. Not the median: weights grow, and in a long healthy run it falls to 0.004."""
PRESET_RATIO = 0.02
HIGH_STREAM = 1000.0
"""Root mean square of the residual stream: beyond it, half of HIGH_RATIO is too much. Measured at 1, 3 and 10 times the rate of
the presets: 10, 220 and 22,000. By itself it says little, because it grows with the steps: 147 after 2,800 healthy ones."""
LEAST_SCALE = 0.001
"""At a lower share of the peak rate an update is too small to be divided by it."""
MOST_EPOCHS = 4
"""Up to here repeated text teaches almost as much as new text (Muennighoff et al. 2023)."""
FEW_DOCUMENTS = 1000
OVERFIT_RISE = 0.03
"""A held-out loss this share above its lowest, while the training loss went on falling."""
DIVERGING_RISE = 0.1
SPIKE_NATS = 1.0
"""A loss so far above the one before is a spike: the median step between two lines was 0.05 nats in a healthy run."""
DEAD_RATIO = 1e-6
DEAD_UNITS = 0.25
STILL_FALLING = 0.15
"""Share of the whole fall of the loss that the last third brought. Measured: 0.05 to 0.12 in healthy runs, 0.21 in one cut short."""
BATCH_SHARE = 0.25


@dataclass(frozen=True)
class Finding:
    """Something a run shows. `numbers` is the evidence, `change` the settings worth trying instead."""

    key: str
    level: Literal["problem", "note", "well"]
    numbers: dict[str, Any]
    change: tuple[str, ...] = ()


def diagnose(facts: RunFacts) -> list[Finding]:
    """Return what the logs of a run show, problems first; a run without problems is said to be well."""
    looks = [_with_rate(line) for line in facts.looks]
    found = [
        *_find_divergence(facts),
        *_judge_rate(facts, looks),
        *_find_dead_layers(looks),
        *_judge_data(facts),
        *_judge_input(facts),
        *_judge_length(facts),
    ]
    if len(facts.losses) < FEWEST_LINES:
        found.append(Finding("too_few_lines", "note", {"lines": len(facts.losses), "needed": FEWEST_LINES}))
    elif not any(finding.level == "problem" for finding in found):
        found.append(_tell_well(facts))
    return sorted(found, key=lambda f: ("problem", "well", "note").index(f.level))


def smooth(lines: Sequence[dict[str, Any]], key: str = "loss") -> list[float]:
    """Return means over about a tenth of the lines each, so that a trend shows through the noise of batches.

    >>> smooth([{"loss": 3.0}, {"loss": 1.0}])
    [3.0, 1.0]
    """
    size = max(1, len(lines) // 10)
    return [statistics.fmean(x[key] for x in lines[i : i + size]) for i in range(0, len(lines) - size + 1, size)]


def _with_rate(line: dict[str, Any]) -> dict[str, Any]:
    """Return a look with the update ratio of its blocks at the full learning rate, and its largest stream."""
    scale, layers = line["observed_lr_scale"], line["layers"]
    blocks = [f["update_ratio"] for name, f in layers.items() if name.startswith("layer ")]
    stream = max(f.get("stream_rms", 0.0) for f in layers.values())
    return {**line, "rate": statistics.median(blocks) / scale if scale else 0.0, "stream": stream}


def _find_divergence(facts: RunFacts) -> Iterator[Finding]:
    optim = facts.config.optim
    lower = (f"optim.muon_lr={optim.muon_lr / 3:.2g}", f"optim.adam_lr={optim.adam_lr / 3:.2g}")
    if facts.diverged is not None:
        numbers = {"step": facts.diverged["step"], "got": facts.diverged["diverged"]}
        yield Finding("not_finite", "problem", numbers, lower)
    if len(facts.losses) < FEWEST_LINES:
        return
    losses = smooth(facts.losses)
    lowest = min(losses)
    uniform = math.log(facts.data["vocab_size"]) if "vocab_size" in facts.data else losses[0]
    if losses[-1] > min(lowest * (1 + DIVERGING_RISE), uniform):
        numbers = {
            "lowest": lowest,
            "last": losses[-1],
            "grad_before": statistics.median(x["grad_norm"] for x in facts.losses),
            "grad_last": facts.losses[-1]["grad_norm"],
        }
        yield Finding("diverging", "problem", numbers, lower)


def _judge_rate(facts: RunFacts, looks: Sequence[dict[str, Any]]) -> Iterator[Finding]:
    """Judge the learning rate by how far an update moves the weights of the blocks, and by leaps of the loss."""
    told = [look for look in looks if look["observed_lr_scale"] >= LEAST_SCALE]
    spikes = _find_spikes(facts)
    optim = facts.config.optim

    def times(factor: float) -> tuple[str, ...]:
        return (f"optim.muon_lr={optim.muon_lr * factor:.2g}", f"optim.adam_lr={optim.adam_lr * factor:.2g}")

    worst = max(told, key=lambda look: look["rate"], default=None)
    numbers = {"muon_lr": optim.muon_lr, "adam_lr": optim.adam_lr, "usual": PRESET_RATIO, "spikes": len(spikes)}
    limit = HIGH_RATIO / 2 if told and told[-1]["stream"] > HIGH_STREAM else HIGH_RATIO
    if worst is not None and worst["rate"] > limit:
        numbers |= {"ratio": worst["rate"], "step": worst["step"], "stream": told[-1]["stream"]}
        yield Finding("rate_high", "problem", numbers, times(min(1 / 3, PRESET_RATIO / worst["rate"])))
    elif len(spikes) > 1:
        step, before, after = max(spikes, key=lambda spike: spike[2] - spike[1])
        yield Finding("spikes", "problem", numbers | {"step": step, "before": before, "after": after}, times(1 / 3))
    elif worst is not None and 0 < worst["rate"] < LOW_RATIO:
        numbers |= {"ratio": worst["rate"], "looks": len(told)} | _last_fall(facts)
        yield Finding("rate_low", "problem", numbers, times(PRESET_RATIO / worst["rate"]))


def _find_spikes(facts: RunFacts) -> list[tuple[int, float, float]]:
    """Return (step, loss before, loss) of each line whose loss leapt up."""
    pairs = zip(facts.losses, facts.losses[1:], strict=False)
    return [(b["step"], a["loss"], b["loss"]) for a, b in pairs if b["loss"] > a["loss"] + SPIKE_NATS]


def _find_dead_layers(looks: Sequence[dict[str, Any]]) -> Iterator[Finding]:
    """Find layers that in no look of the later half have a gradient, move or add anything."""
    late = looks[len(looks) // 2 :]
    if not late:
        return
    for name in late[-1]["layers"]:
        seen = [look["layers"][name] | {"scale": look["observed_lr_scale"]} for look in late]
        strongest = [max(layer["grad_norm"] for layer in look["layers"].values()) for look in late]
        no_gradient = all(s["grad_norm"] <= DEAD_RATIO * most for s, most in zip(seen, strongest, strict=True))
        no_move = all(s["update_ratio"] <= DEAD_RATIO * s["scale"] for s in seen)
        adds_nothing = all(s.get("added_rms") == 0 for s in seen)
        numbers = {"layer": name, "looks": len(seen), "from_step": late[0]["step"], **seen[-1]}
        if no_gradient or no_move or adds_nothing:
            yield Finding("dead_layer", "problem", {"added_rms": math.nan} | numbers)
        elif seen[-1].get("dead_units", 0) > DEAD_UNITS:
            yield Finding("dead_units", "problem", numbers)


def _judge_data(facts: RunFacts) -> Iterator[Finding]:
    """Find a model that learns its documents by heart, and data that are too few for the run."""
    overfit = None
    if len(facts.heldout) > 1 and len(facts.losses) >= FEWEST_LINES:
        best, last = min(facts.heldout, key=lambda x: x["heldout_loss"]), facts.heldout[-1]
        near = min(facts.losses, key=lambda x: abs(x["step"] - best["step"]))
        train_last = smooth(facts.losses)[-1]
        if last["heldout_loss"] > best["heldout_loss"] * (1 + OVERFIT_RISE) and train_last < near["loss"]:
            overfit = {
                "best": best["heldout_loss"], "best_step": best["step"], "last": last["heldout_loss"],
                "last_step": last["step"], "train_then": near["loss"], "train_last": train_last,
                "epochs": facts.epochs or math.nan,
            }  # fmt: skip
            yield Finding("overfitting", "problem", overfit, (f"train.steps={max(1, best['step'])}",))
    epochs, documents = facts.epochs, facts.documents
    if epochs is not None and epochs > MOST_EPOCHS:
        numbers = {"epochs": epochs, "most": MOST_EPOCHS, "documents": documents or 0}
        yield Finding("data_starved", "problem" if overfit else "note", numbers)
    elif documents is not None and documents < FEW_DOCUMENTS:
        yield Finding("few_documents", "note", {"documents": documents, "few": FEW_DOCUMENTS})


def _judge_input(facts: RunFacts) -> Iterator[Finding]:
    """Find a run that waits for its batches."""
    shares = [line["batch_share"] for line in facts.timings if "batch_share" in line]
    if len(shares) >= FEWEST_LINES and (share := statistics.median(shares)) > BATCH_SHARE:
        tokens = facts.config.train.batch_tokens
        yield Finding(
            "input_bound", "note", {"share": share, "limit": BATCH_SHARE}, (f"train.batch_tokens={2 * tokens}",)
        )


def _judge_length(facts: RunFacts) -> Iterator[Finding]:
    """Find a run that ended while it still learned fast, or before it had read all of its text."""
    total = facts.manifest.counts["step"] if facts.manifest else facts.config.train.steps
    if facts.manifest is None and facts.step < total and facts.diverged is None:
        yield Finding("unfinished", "note", {"step": facts.step, "steps": total})
    if facts.manifest is None or len(facts.losses) < FEWEST_LINES:
        return
    numbers = _last_fall(facts) | {"epochs": math.nan if facts.epochs is None else facts.epochs}
    if numbers["share"] > STILL_FALLING or numbers["epochs"] < 1:
        yield Finding("too_short", "note", numbers, (f"train.steps={2 * facts.step}",))


def _last_fall(facts: RunFacts) -> dict[str, float]:
    """Return how much of the whole fall of the loss, from a uniform guess on, the last third of the run brought."""
    losses = smooth(facts.losses)
    first = math.log(facts.data["vocab_size"]) if "vocab_size" in facts.data else losses[0]
    then = losses[len(losses) * 2 // 3 - 1] if len(losses) > 1 else first
    whole = first - losses[-1]
    return {"share": (then - losses[-1]) / whole if whole > 0 else 0.0, "then": then, "now": losses[-1]}


def _tell_well(facts: RunFacts) -> Finding:
    losses = smooth(facts.losses)
    numbers = {"first": facts.losses[0]["loss"], "last": losses[-1], "heldout": math.nan}
    if facts.heldout:
        numbers["heldout"] = facts.heldout[-1]["heldout_loss"]
    return Finding("well", "well", numbers)
