"""What a running loop holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dozero.dataset.rows import Rows
from dozero.dataset.stream import TokenStream
from dozero.model.transformer import Transformer
from dozero.settings import RunConfig
from dozero.tokenizer.tokenizer import Tokenizer
from dozero.train.checkpoint import RunState
from dozero.train.log import StepLog
from dozero.train.optim import Optimizer
from dozero.train.scales import Scales
from dozero.train.team import Team


@dataclass(frozen=True)
class Earlier:
    """What the clock decided in a run, so that another one can repeat it bit for bit."""

    replans: Mapping[int, int]
    """Ends of the run by step, as they were moved."""
    machine: Mapping[str, str]
    """Facts of its machine, as its checkpoints hold them; of these the ways of computing are repeated."""


@dataclass
class Session:
    """What a running loop holds: the things that change, and the files it writes."""

    config: RunConfig
    run: Path
    model: Transformer
    tokenizer: Tokenizer
    optimizer: Optimizer
    train_rows: Rows
    heldout_rows: Rows
    rows_per_step: int
    rows_at_once: int
    state: RunState
    metrics: StepLog
    samples: StepLog
    timings: StepLog
    scales: Scales
    stream: TokenStream
    saved_at: int
    """The step of the newest checkpoint, or 0."""
    passed_over: list[int]
    """Windows of data that rollbacks left out."""
    team: Team | None = None
    earlier: Earlier | None = None
    """The run that this one repeats."""

    @property
    def is_sharded(self) -> bool:
        """Whether this process holds only a share of the model, so that others must join in whatever it computes."""
        return self.team is not None and self.team.is_sharded
