"""What a training run tells, as it happens. The command line, notebooks, the studio and tests read the same events."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from dozero.eval.surprise import Surprise


@dataclass(frozen=True)
class Compiling:
    """What was decided of a run's blocks: "on" or "off"; what was measured now; why it could not be done."""

    choice: str = "off"
    took_ms: dict[str, float] = field(default_factory=dict)
    """Milliseconds of a block, forward and backward: "plain" and "compiled"."""
    seconds: float = 0.0
    """What finding out and compiling took now."""
    reason: str = ""


@dataclass(frozen=True)
class Started:
    """Training begins or continues at `step`; checkpoints that could not be used are named with the reason."""

    step: int
    total_steps: int
    params: int
    passed_over: tuple[tuple[Path, str], ...] = ()
    differences: tuple[str, ...] = ()
    """Versions or threads that differ from those of the run so far: the bits may then differ too."""
    attention: str = "auto"
    """How attention is computed: "written" out or by the "library"; "auto" goes by length alone."""
    attention_ms: dict[str, float] = field(default_factory=dict)
    """What each way took, if they were measured now."""
    compiling: Compiling = Compiling()


@dataclass(frozen=True)
class Stepped:
    """`step` updates are done; the loss is the last batch's, in nats per token, before its update."""

    step: int
    total_steps: int
    loss: float
    grad_norm: float
    lr_scale: float
    tokens: int
    """Target tokens seen so far."""
    tokens_per_s: float
    seconds: float
    """Time spent training so far, in all sessions."""
    bits_per_byte: float | None = None
    """The loss in bits per byte, at the tokens per byte of the whole training text."""
    utilisation: float | None = None
    """Share of the peak of this machine that the step made use of; None where the peak has not been measured."""


@dataclass(frozen=True)
class LayerFacts:
    """What one layer was like at one step. What does not apply to a layer is None."""

    name: str
    grad_norm: float
    """Before the gradient is clipped."""
    weight_norm: float
    """After the update."""
    update_ratio: float
    """Norm of the change of the weights by this step's update, over the norm of the weights."""
    stream_rms: float | None = None
    """Root mean square of the residual stream after the layer, once its update is made."""
    stream_max: float | None = None
    """Largest absolute value in that stream."""
    added_rms: float | None = None
    """Root mean square of what the layer adds to the stream."""
    dead_units: float | None = None
    """mlp: share of the inner units that stay near zero at every position looked at."""


@dataclass(frozen=True)
class Observed:
    """A closer look at the step just made: gradient, update and activations of each layer, from the input on."""

    step: int
    lr_scale: float
    layers: tuple[LayerFacts, ...]
    resident_bytes: int | None
    """Memory that the process holds; None where the system does not tell."""


@dataclass(frozen=True)
class Evaluated:
    """The held-out loss on a part of the held-out documents, in nats per token."""

    step: int
    loss: float
    bits_per_byte: float | None = None
    """The same, at the tokens per byte of all held-out text."""


@dataclass(frozen=True)
class Sampled:
    """What the model writes after `step` updates."""

    step: int
    text: str


@dataclass(frozen=True)
class Saved:
    """A checkpoint was written."""

    step: int
    path: Path


@dataclass(frozen=True)
class Unsaved:
    """A checkpoint was due and could not be written; training goes on, as the settings want it."""

    step: int
    reason: str


@dataclass(frozen=True)
class Diverged:
    """The loss of `step` jumped or was not finite: no update was made of it."""

    step: int
    action: str
    """raise: the run ends; skip: it goes on with the next step; rollback: it goes on from an earlier one."""
    what: str
    got: str
    documents: tuple[int, ...]
    """Numbers of the training documents that the step was made of, in the order of the dataset."""
    continues_from: int
    """Updates made, or skipped, where it goes on."""


@dataclass(frozen=True)
class Replanned:
    """The end of the run was moved, because steps take more or less time than planned."""

    step: int
    total_steps: int


@dataclass(frozen=True)
class Stopped:
    """The run was interrupted and saved; the same command continues it."""

    step: int
    total_steps: int


@dataclass(frozen=True)
class Finished:
    """The run is complete: the model folder is written and all held-out documents are scored."""

    step: int
    model: Path
    heldout: Surprise
    seconds: float


Event = Started | Stepped | Observed | Evaluated | Sampled | Saved | Unsaved | Diverged | Replanned | Stopped | Finished
