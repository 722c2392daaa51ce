"""Everything a run wrote about itself, read back: what its report and its diagnosis follow from."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dozero.artifact import MANIFEST, Manifest, read_manifest
from dozero.config import load_config, toml_value
from dozero.errors import ArtifactError
from dozero.settings import RunConfig
from dozero.train.log import read_log


@dataclass(frozen=True)
class RunFacts:
    """The settings and the logs of a run, finished or not."""

    path: Path
    config: RunConfig
    data: dict[str, Any] = field(default_factory=dict)
    """What it learns from (`scales.data_facts`); empty for a run of an older version."""
    losses: list[dict[str, Any]] = field(default_factory=list)
    heldout: list[dict[str, Any]] = field(default_factory=list)
    looks: list[dict[str, Any]] = field(default_factory=list)
    """Lines of closer looks: step, observed_lr_scale and layers."""
    timings: list[dict[str, Any]] = field(default_factory=list)
    samples: list[dict[str, Any]] = field(default_factory=list)
    diverged: dict[str, Any] | None = None
    """The step that was not made because its loss or gradient was not finite."""
    manifest: Manifest | None = None
    """That of the model folder; None while the run is not finished."""

    @property
    def step(self) -> int:
        """The last step logged."""
        return self.losses[-1]["step"] if self.losses else 0

    @property
    def epochs(self) -> float | None:
        """How often the training text was seen so far; None if its size is not known."""
        tokens = self.data.get("train", {}).get("tokens")
        return self.losses[-1]["tokens"] / tokens if tokens and self.losses else None

    @property
    def documents(self) -> int | None:
        """How many documents it learns from; None if that is not known."""
        return self.data.get("train", {}).get("documents")

    @property
    def command(self) -> str:
        """The command that trains a run of these settings, but for its name."""
        file = self.path.parent.parent / "run.toml"
        if not file.is_file():
            return f"dozero train {shlex.quote(str(self.path / 'run.toml'))}"
        return shlex.join(["dozero", "train", str(file), *differences(load_config(file), self.config)])


def differences(base: RunConfig, config: RunConfig) -> list[str]:
    """Return the overrides that turn one tree of settings into another.

    >>> differences(RunConfig(), RunConfig(seed=7))
    ['seed=7']
    """
    was, now = ({k: (v if isinstance(v, dict) else {"": v}) for k, v in c.model_dump().items()} for c in (base, config))
    return [
        f"{section}.{key}={toml_value(value)}".replace(".=", "=")
        for section, table in now.items()
        for key, value in table.items()
        if was[section][key] != value
    ]


def find_run(path: Path) -> Path:
    """Return the run that a path means: itself, the run around a model or checkpoint, or `main` of a workspace."""
    for place in (path, path / "runs" / "main", path.parent, path.parent.parent):
        if (place / "metrics.jsonl").is_file() and (place / "run.toml").is_file():
            return place
    raise ArtifactError(
        "holds no run" if path.exists() else "no such folder",
        where=path,
        expected="the folder of a run, as runs/main, or a workspace with one",
        next="dozero train",
    )


def read_facts(run: Path) -> RunFacts:
    """Return what a run tells about itself."""
    metrics = read_log(run / "metrics.jsonl")
    diverged = [line for line in metrics if "diverged" in line]
    return RunFacts(
        path=run,
        config=load_config(run / "run.toml"),
        data=next((line for line in metrics if "params" in line), {}),
        losses=[line for line in metrics if "loss" in line],
        heldout=[line for line in metrics if "heldout_loss" in line],
        looks=[line for line in metrics if "layers" in line],
        timings=read_log(run / "timings.jsonl"),
        samples=read_log(run / "samples.jsonl"),
        diverged=diverged[-1] if diverged else None,
        manifest=read_manifest(run / "model", "model") if (run / "model" / MANIFEST).is_file() else None,
    )
