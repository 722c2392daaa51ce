"""May a run that has begun go on: with these settings, this dataset, on this machine?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from dozero.config import load_config, to_toml
from dozero.dataset.shards import Dataset
from dozero.durable import explain_os_errors, write_whole
from dozero.errors import CheckpointError, ConfigError, ModelMismatch
from dozero.settings import RunConfig
from dozero.tokenizer.files import read_tokenizer_json
from dozero.tokenizer.tokenizer import Tokenizer
from dozero.train.checkpoint import RunState, list_checkpoints
from dozero.train.divergence import may_change_policy

ABOUT_DATA = ("data", "curate", "scale", "tokenizer")
"""Sections that decide what a dataset holds; with the leave to change it, they may differ too."""
DATASET_LINE = "# dataset "


def claim_run(
    config: RunConfig, dataset: Dataset, tokenizer: Tokenizer, run: Path, *, allow_data_change: bool = False
) -> None:
    """Write the run's resolved run.toml, or check that the one there agrees with these settings."""
    file, fingerprint = run / "run.toml", dataset.manifest.fingerprint
    datasets: list[str] = []
    if file.exists():
        old, datasets = load_config(file), datasets_told(file.read_text(encoding="utf-8"))
        same_data = datasets[:1] == [fingerprint]
        if old == config and same_data:
            return
        check_continuation(old, config, same_data=same_data, allow_data_change=allow_data_change, run=run)
        check_tokenizer_of_run(run, tokenizer)
    with explain_os_errors(run):
        write_whole(file, run_file_text(config, [fingerprint, *(d for d in datasets if d != fingerprint)]))


def run_file_text(config: RunConfig, datasets: Sequence[str]) -> str:
    """Return the run.toml of a run: the fingerprints of its datasets, that of now first, and its settings."""
    return "".join(f"{DATASET_LINE}{fingerprint}\n" for fingerprint in datasets) + to_toml(config)


def datasets_told(text: str) -> list[str]:
    r"""Return the fingerprints at the top of a run.toml.

    >>> datasets_told("# dataset b\n# dataset a\nseed = 0\n")
    ['b', 'a']
    """
    lines: list[str] = []
    for line in text.splitlines():
        if not line.startswith(DATASET_LINE):
            break
        lines.append(line.removeprefix(DATASET_LINE))
    return lines


def check_continuation(old: RunConfig, new: RunConfig, *, same_data: bool, allow_data_change: bool, run: Path) -> None:
    """Raise ConfigError with the first difference unless a run begun with `old` may go on with `new`."""
    if allow_data_change:
        old, same_data = old.model_copy(update={name: getattr(new, name) for name in ABOUT_DATA}), True
    if same_data and (old == new or may_change_policy(old, new)):
        return
    pairs = zip(to_toml(old).splitlines(), to_toml(new).splitlines(), strict=True)
    was, now = next((pair for pair in pairs if pair[0] != pair[1]), ("another dataset", "this dataset"))
    data_only = new == old.model_copy(update={name: getattr(new, name) for name in ABOUT_DATA})
    leave = ", or --allow-data-change to go on with other data" if data_only else ""
    raise ConfigError(
        "this run was made with other settings", where=run, expected=was, got=now,
        next=f"--fresh, or another --name{leave}",
    )  # fmt: skip


def check_tokenizer_of_run(run: Path, tokenizer: Tokenizer) -> None:
    """Raise ModelMismatch unless the newest checkpoint that can be read has this tokenizer: its ids would mean other text."""
    for path in list_checkpoints(run):
        try:
            theirs = read_tokenizer_json(path / "tokenizer.json")
        except ModelMismatch:
            continue
        if theirs != tokenizer:
            raise ModelMismatch(
                "the other data came with another tokenizer, whose ids mean other text to this model", where=run,
                expected=f"the {theirs.vocab_size} tokens of its checkpoints", got=f"{tokenizer.vocab_size} others",
                next="pack the new data with the tokenizer of the run, or --fresh",
            )  # fmt: skip
        return


def machine_differences(state: RunState | None, facts: Mapping[str, str]) -> tuple[str, ...]:
    """Return what differs between the machine of the run so far and this one: "threads: 1 -> 2"."""
    before = state.machine if state else {}
    return tuple(f"{name}: {was} -> {facts[name]}" for name, was in before.items() if facts.get(name, was) != was)


def refuse_differences(differences: Sequence[str], run: Path) -> None:
    """Raise CheckpointError if there are any: what --strict asks for."""
    if differences:
        raise CheckpointError(
            "going on here may give other bits than where it was trained so far", where=run,
            expected="versions, threads and processor of before", got="; ".join(differences),
            next="the same command without --strict",
        )  # fmt: skip


def note_dataset(state: RunState, fingerprint: str) -> tuple[str, ...]:
    """Record in the state which dataset is trained on from its step on; return what to tell if that is another one."""
    before = next(reversed(state.datasets.values()), fingerprint)
    if not state.datasets or before != fingerprint:
        state.datasets[str(state.step)] = fingerprint
    return () if before == fingerprint else (f"dataset: {before[:12]} -> {fingerprint[:12]}",)
