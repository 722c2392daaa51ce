"""The same curation on datatrove's executors: local processes, a Slurm cluster or Ray, chosen in TOML.

    judge    tasks  units of the input are judged and signed, as on one machine; signatures sorted by band
    meet     bands  datatrove's MinhashDedupBuckets merges the sorted files of a band: neighbours of one hash are pairs
    decide   1      pairs become clusters; the earliest of each stays

Steps are plain callables, which datatrove takes (Penedo et al. 2024, https://github.com/huggingface/datatrove), and
everything passes through files of a folder that all machines see, so that a task that was killed is run again alone.
Clusters are ours, because datatrove keeps any one document of a cluster and the earliest is what one machine keeps.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from importlib import import_module
from itertools import accumulate
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from dozero.corpus.document import Document
from dozero.corpus.duplicates import join
from dozero.corpus.judge import judge_document, make_judge
from dozero.corpus.store import RowWriter
from dozero.errors import ConfigError, MissingExtra
from dozero.settings import CurateConfig, DataConfig, ScaleConfig

T = TypeVar("T")
STAYS, EXACT, NEAR = 0, 1, 2
EXACT_COLUMN = 0
# What MinhashDedupBuckets reads: halves of a hash, because it takes 2^61 - 1 for the end, and the document's number.
RECORD = np.dtype([("high", "<u8"), ("low", "<u8"), ("document", "<u4")])
RECORDS_AT_ONCE = 4096
JOB = "job.txt"


def decide_at_scale(
    judge: Callable[[Any], object], units: Sequence[Any], work: Path, config: CurateConfig, scale: ScaleConfig
) -> list[NDArray[np.uint8]] | None:
    """Judge all units and decide on duplicates on the executor that `scale` names; call again after a kill.

    `judge(units[N])` leaves signatures in work/signs-NNNNNN.npy, a row for each kept document: the hash of the whole
    text, then one a band. Returns for each unit what becomes of each kept document (STAYS, EXACT or NEAR), or None while
    jobs are still queued or running on the cluster.
    """
    _check_executor(scale)
    folder = work.absolute() / f"datatrove-{scale.tasks}"  # other portions are other work
    last = _chain(_stages(judge, tuple(units), folder, config, scale.tasks), folder / "logs", scale)
    if last.get_incomplete_ranks():
        if _is_queued(folder):
            return None
        last.run()
        if scale.executor == "slurm" and last.get_incomplete_ranks():
            (folder / JOB).write_text(str(last.job_id), encoding="utf-8")
            return None
    return [np.load(folder / f"verdict-{number:06d}.npy") for number in range(len(units))]


def _stages(
    judge: Callable[[Any], object], units: tuple[Any, ...], folder: Path, config: CurateConfig, tasks: int
) -> Iterator[tuple[str, int, list[Any]]]:
    """Yield name, number of tasks and steps of each stage."""
    with _explained("datatrove", extra="scale"):
        from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupBuckets
        from datatrove.utils.hashing import HashConfig

    columns = [EXACT_COLUMN] if config.exact_duplicates else []
    columns += range(1, 1 + config.bands) if config.near_duplicates else []
    yield "judge", tasks, [JudgeUnits(judge, units), SortSignatures(len(units), folder, tuple(columns))]
    if columns:
        halves = MinhashConfig(num_buckets=len(columns), hashes_per_bucket=2, hash_config=HashConfig(64, "sha1"))
        signs, pairs = str(folder / "signs"), str(folder / "pairs")
        meet = MinhashDedupBuckets(signs, pairs, config=halves, lines_to_buffer=RECORDS_AT_ONCE)
        yield "meet", len(columns), [meet]
    yield "decide", 1, [DecideClusters(len(units), folder, tuple(columns), tasks)]


def share(items: Sequence[T], rank: int, tasks: int) -> Sequence[T]:
    """Return the items of one task: neighbours, so that the order of tasks is that of the items.

    >>> [share("abcdefgh", rank, 3) for rank in range(3)]
    ['ab', 'cde', 'fgh']
    """
    return items[len(items) * rank // tasks : len(items) * (rank + 1) // tasks]


# --- steps -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class JudgeUnits:
    """A step that reads, judges, signs and stores a task's share of the units."""

    judge: Callable[[Any], object]
    units: tuple[Any, ...] = field(repr=False)  # datatrove logs steps

    def __call__(self, _: object, rank: int, world_size: int) -> None:
        """Run for one task."""
        for unit in share(self.units, rank, world_size):
            self.judge(unit)


@dataclass(frozen=True)
class SortSignatures:
    """A step that writes a task's signatures as datatrove's second stage reads them: a sorted file for each band."""

    units: int
    folder: Path
    columns: tuple[int, ...]

    def __call__(self, _: object, rank: int, world_size: int) -> None:
        """Run for one task."""
        tables = [_signs(self.folder, number) for number in share(range(self.units), rank, world_size)]
        for bucket, column in enumerate(self.columns):
            hashes = np.concatenate([np.empty(0, np.uint64), *(table[:, column] for table in tables)])
            records = np.empty(len(hashes), RECORD)
            records["high"], records["low"] = hashes >> np.uint64(32), hashes & np.uint64(0xFFFFFFFF)
            records["document"] = np.arange(len(hashes))
            file = self.folder / "signs" / f"bucket_{bucket:03d}" / f"{rank:05d}.minhash.sig"
            file.parent.mkdir(parents=True, exist_ok=True)
            records[np.argsort(hashes, kind="stable")].tofile(file)


@dataclass(frozen=True)
class DecideClusters:
    """The last step: joins all pairs and writes what becomes of the kept documents of each unit."""

    units: int
    folder: Path
    columns: tuple[int, ...]
    tasks: int

    def __call__(self, _: object, rank: int, world_size: int) -> None:
        """Run for the only task."""
        assert (rank, world_size) == (0, 1), "clusters are decided in one place"
        kept = [len(_signs(self.folder, number)) for number in range(self.units)]
        of_tasks = [sum(share(kept, task, self.tasks)) for task in range(self.tasks)]
        first = np.array([0, *accumulate(of_tasks)])
        own = np.arange(first[-1])
        exact, near = own, own
        for bucket, column in enumerate(self.columns):
            for file in sorted((self.folder / "pairs").glob(f"{bucket:05d}_*.dups")):
                task, document, other_task, other = np.fromfile(file, "<u4").reshape(-1, 4).astype(np.int64).T
                left, right = first[task] + document, first[other_task] + other
                if column == EXACT_COLUMN:
                    exact = join(exact, left, right)
                else:
                    near = join(near, left, right)
        verdict = np.where(exact != own, EXACT, np.where(near != own, NEAR, STAYS)).astype(np.uint8)
        for number, part in enumerate(np.split(verdict, np.cumsum(kept)[:-1])):
            np.save(self.folder / f"verdict-{number:06d}.npy", part)


@dataclass(frozen=True)
class Sieve:
    """A step for a datatrove pipeline of one's own: cleans, judges and masks its documents, keeps or drops them.

    Source and licence are read from the metadata of those names. With `dropped`, a folder, what is dropped is written
    there with its reason.
    """

    data: DataConfig
    config: CurateConfig
    dropped: Path | None = None

    def __call__(self, documents: Iterable[Any], rank: int, _: int) -> Iterator[Any]:
        """Yield the documents kept, their text as it is stored."""
        judge = make_judge(self.data, self.config)
        file = self.dropped and self.dropped / f"dropped-{rank:06d}.parquet"
        with RowWriter(file, dropped=True) if file else nullcontext() as writer:
            for document in documents:
                about = document.metadata
                ours = Document(document.text, about.get("source", document.id), about.get("licence", ""))
                stored, _parts = judge_document(ours, judge)
                if stored.reason is None:
                    document.text, about["lang"] = stored.document.text, stored.document.lang
                    yield document
                elif writer:
                    writer.add(stored)


def _signs(folder: Path, unit: int) -> NDArray[np.uint64]:
    return np.load(folder.parent / f"signs-{unit:06d}.npy", mmap_mode="r")


# --- executors ---------------------------------------------------------------------------------------------------


def _chain(stages: Iterable[tuple[str, int, list[Any]]], logs: Path, scale: ScaleConfig) -> Any:
    """Return the executor of the last stage, each depending on the one before."""
    last = None
    for name, tasks, steps in stages:
        last = make_executor(name, tasks, steps, logs / name, scale, last)
    return last


def make_executor(name: str, tasks: int, steps: list[Any], logs: Path, scale: ScaleConfig, depends: Any) -> Any:
    """Return datatrove's executor of a stage: it skips the tasks that `logs` tells are done."""
    with _explained("datatrove", extra="scale"):
        from datatrove.executor.local import LocalPipelineExecutor
        from datatrove.executor.ray import RayPipelineExecutor
        from datatrove.executor.slurm import SlurmPipelineExecutor

    common: dict[str, Any] = {"pipeline": steps, "tasks": tasks, "logging_dir": str(logs), "depends": depends}
    if scale.executor == "local":
        return LocalPipelineExecutor(workers=min(tasks, scale.workers or os.cpu_count() or 1), **common)
    if scale.executor == "ray":
        return RayPipelineExecutor(workers=scale.workers or -1, mem_per_cpu_gb=scale.memory_gb, **common)
    assert scale.executor == "slurm", "our own processes need no executor"
    return SlurmPipelineExecutor(
        workers=scale.workers or -1,
        mem_per_cpu_gb=scale.memory_gb,
        time=scale.time,
        partition=scale.partition,
        job_name=f"dozero-{name}",
        env_command=scale.setup,
        qos="",
        sbatch_args={"kill-on-invalid-dep": "yes"},  # else jobs wait for ever for one that failed
        **common,
    )


def _check_executor(scale: ScaleConfig) -> None:
    if scale.executor == "slurm" and not shutil.which("sbatch"):
        raise ConfigError("this machine has no Slurm", expected="the command sbatch", next='[scale] executor = "local"')
    if scale.executor == "ray":
        with _explained("ray", extra="ray"):
            import_module("ray")


@contextmanager
def _explained(package: str, *, extra: str) -> Iterator[None]:
    try:
        yield
    except ImportError:
        raise MissingExtra(package, extra=extra) from None


def _is_queued(folder: Path) -> bool:
    """Return whether Slurm still has the job that an earlier call submitted: a second one would do its work twice."""
    file = folder / JOB
    if not file.exists():
        return False
    command = ["squeue", "--noheader", "--jobs", file.read_text(encoding="utf-8")]
    told = subprocess.run(command, capture_output=True, check=False)  # an error: a job long gone
    return told.returncode == 0 and bool(told.stdout.strip())
