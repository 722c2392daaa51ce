"""From settings to a trained model: four folders, each made from the one before, none made twice.

    work/corpus -> work/tokenizer -> work/dataset -> runs/<name>

A stage is current when the manifest of its folder names just these inputs (by fingerprint) and settings, and its
files are intact; otherwise it is made anew.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dozero.artifact import is_current
from dozero.config import build_config, load_config
from dozero.corpus.build import build_corpus, corpus_inputs, corpus_settings
from dozero.corpus.events import UnitDone, Unread
from dozero.corpus.store import Corpus, open_corpus
from dozero.dataset.shards import Dataset, build_dataset, dataset_settings, open_dataset
from dozero.device import Device
from dozero.durable import lock
from dozero.errors import ArtifactError, ConfigError
from dozero.pipeline.events import StageDone
from dozero.settings import DataConfig, GenerateConfig, RunConfig
from dozero.tokenizer.build import build_tokenizer
from dozero.tokenizer.files import open_tokenizer
from dozero.tokenizer.tokenizer import Tokenizer
from dozero.train.checkpoint import list_checkpoints
from dozero.train.events import Event
from dozero.train.loop import train
from dozero.train.sinks import pass_through

DEFAULT_RUN = "main"


@dataclass(frozen=True)
class Workspace:
    """The folders of one model."""

    root: Path
    name: str = DEFAULT_RUN

    def __post_init__(self) -> None:
        if not self.name or self.name.startswith(".") or any(c in self.name for c in '/\\:*?"<>|\0'):
            raise ConfigError("not a run name", expected="letters, digits, - and _", got=repr(self.name))

    @property
    def corpus(self) -> Path:
        """Folder of the kept and dropped documents."""
        return self.root / "work" / "corpus"

    @property
    def tokenizer(self) -> Path:
        """Folder of the tokenizer."""
        return self.root / "work" / "tokenizer"

    @property
    def dataset(self) -> Path:
        """Folder of the token shards."""
        return self.root / "work" / "dataset"

    @property
    def run(self) -> Path:
        """Folder of the run: checkpoints, logs, model."""
        return self.root / "runs" / self.name


@dataclass(frozen=True)
class Prepared:
    """What training needs, and the documents it came from."""

    corpus: Corpus
    tokenizer: Tokenizer
    dataset: Dataset
    stages: tuple[StageDone, ...]


def prepare(
    config: RunConfig, workspace: Workspace, processes: int = 1
) -> Iterator[StageDone | UnitDone | Unread | Prepared]:
    """Bring corpus, tokenizer and dataset up to date, yielding each stage as it is done and then all of them.

    What a stage tells on its way is passed on. `processes` changes no byte. More than one
    start this program's main module again, so a script that asks for them stands under `if __name__ == "__main__"`.
    """
    with lock(workspace.root / "work"):
        inputs, settings = corpus_inputs(config.data, config.curate), corpus_settings(config.data, config.curate)
        made = not is_current(workspace.corpus, "corpus", inputs, settings)
        if made:
            yield from build_corpus(config.data, config.curate, workspace.corpus, inputs, processes, config.scale)
        corpus = open_corpus(workspace.corpus)
        stages = [StageDone("corpus", workspace.corpus, corpus.manifest, made)]
        yield stages[-1]

        inputs = {"corpus": corpus.manifest.fingerprint}
        made = not is_current(workspace.tokenizer, "tokenizer", inputs, config.tokenizer.model_dump())
        if made:
            build_tokenizer(corpus, config.tokenizer, workspace.tokenizer)
        tokenizer, manifest = open_tokenizer(workspace.tokenizer)
        stages.append(StageDone("tokenizer", workspace.tokenizer, manifest, made))
        yield stages[-1]

        inputs |= {"tokenizer": manifest.fingerprint}
        percent = config.data.heldout_percent
        weights = mix_weights(config.data)
        made = not is_current(workspace.dataset, "dataset", inputs, dataset_settings(percent, weights))
        if made:
            build_dataset(corpus, tokenizer, percent, inputs, workspace.dataset, weights=weights, processes=processes)
        dataset = open_dataset(workspace.dataset)
        stages.append(StageDone("dataset", workspace.dataset, dataset.manifest, made))
        yield stages[-1]
    yield Prepared(corpus, tokenizer, dataset, tuple(stages))


def mix_weights(data: DataConfig) -> dict[str, float]:
    """Return the weight of each source by its name; none where all are 1, which mixes by size."""
    weights = {source.name or source.path: source.weight for source in data.all_sources}
    return weights if data.kind == "text" and any(weight != 1 for weight in weights.values()) else {}


def prepared(config: RunConfig, workspace: Workspace, processes: int = 1) -> Prepared:
    """Bring the data up to date without looking on, and return it."""
    *_, last = prepare(config, workspace, processes)
    assert isinstance(last, Prepared)
    return last


def run_stages(
    config: RunConfig,
    workspace: Workspace,
    device: Device,
    should_stop: Callable[[], bool] = lambda: False,
    processes: int = 1,
) -> Iterator[StageDone | UnitDone | Unread | Event]:
    """Bring every stage up to date, training included, and yield what happens."""
    data: Prepared | None = None
    for step in prepare(config, workspace, processes):
        if isinstance(step, Prepared):
            data = step
        else:
            yield step
    assert data is not None
    events = train(config, data.dataset, data.tokenizer, workspace.run, device, should_stop=should_stop)
    yield from pass_through(events, config.train.log_to, workspace.run)


def find_model(path: Path) -> Path:
    """Return the model folder that a path means: itself, or the finished or newest one of a run or workspace."""
    if not path.exists():
        raise ArtifactError("no such folder", where=path, expected="a workspace, run, checkpoint or model folder")
    for place in (path, path / "model", path / "runs" / DEFAULT_RUN / "model"):
        if (place / "config.json").is_file():
            return place
    checkpoints = list_checkpoints(path) or list_checkpoints(path / "runs" / DEFAULT_RUN)
    for place in checkpoints:
        if (place / "config.json").is_file():
            return place
    run_file = path / "run.toml"
    advice = f"dozero train {shlex.quote(str(run_file))}" if run_file.is_file() else "dozero hello"
    raise ArtifactError("holds no model yet", where=path, next=advice)


def generate_settings(model_folder: Path, given: Mapping[str, Any]) -> GenerateConfig:
    """Return the sampling settings of the run around a model folder, with those given on top."""
    around = model_folder.resolve().parent
    file = (around.parent if around.name == "checkpoints" else around) / "run.toml"
    below = load_config(file).generate.model_dump() if file.is_file() else {}
    return build_config({"generate": {**below, **given}}).generate
