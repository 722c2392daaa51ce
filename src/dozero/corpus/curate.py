"""Curation: files of any size to documents kept and dropped, each drop with its reason.

    units of the input -> [read, clean, judge, sign] -> duplicates over all signatures -> documents and drops

A unit is what one process reads at a time; what becomes of it depends on nothing else, so it is done in any order on
any number of processes, and its result stays on disk until the corpus is whole: a kill costs one unit. Only the
signatures of all documents meet, 8 bytes a band each. Then every unit is written again without its duplicates.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dozero.artifact import Manifest, check_replaceable, write_artifact
from dozero.corpus.duplicates import exact_hash, find_duplicates, first_of_equal
from dozero.corpus.events import UnitDone, Unread
from dozero.corpus.forgotten import Forgotten, read_forgotten, write_forgotten
from dozero.corpus.judge import judge_document, make_judge
from dozero.corpus.minhash import sign_many
from dozero.corpus.parts import Parts
from dozero.corpus.read.limits import Unreadable
from dozero.corpus.read.listing import list_units
from dozero.corpus.read.reader import read_unit
from dozero.corpus.read.unit import Unit
from dozero.corpus.report import Summary, write_report
from dozero.corpus.rules import make_filters
from dozero.corpus.settle import Settling, file_of, settle_unit
from dozero.corpus.store import Corpus, RowWriter
from dozero.durable import LOCK_FILE, explain_os_errors, lock, write_json
from dozero.errors import ArtifactError, DataError
from dozero.processes import in_order
from dozero.settings import CurateConfig, DataConfig, ScaleConfig

SIGNED_AT_ONCE = 256
BYTES_PER_UNIT = 16_000_000


@dataclass(frozen=True)
class Curated:
    """The corpus is whole."""

    corpus: Corpus
    summary: Summary


@dataclass(frozen=True)
class Task:
    """What a worker needs to read and judge one unit; plain data, since it crosses processes."""

    number: int
    unit: Unit
    collection: str
    data: DataConfig
    config: CurateConfig
    forgotten: Forgotten
    work: Path


def curate(
    data: DataConfig,
    config: CurateConfig,
    out: Path,
    inputs: Mapping[str, str],
    settings: Mapping[str, Any],
    processes: int = 1,
    bytes_per_unit: int = BYTES_PER_UNIT,
    scale: ScaleConfig | None = None,
) -> Iterator[UnitDone | Unread | Curated]:
    """Make the corpus folder `out` and yield what happens on the way; run again after a kill, it goes on.

    What the corpus at `out` was asked to forget stays forgotten. The same input gives the same bytes on any number of
    processes. Raises DataError when no document is kept.
    """
    make_filters(config)  # a wrong name is told before anything is made
    work, forgotten = out.parent / f".curating-{out.name}", read_forgotten(out)
    tasks = _list_tasks(data, config, forgotten, work, bytes_per_unit)
    plan = {
        "inputs": dict(inputs), "settings": dict(settings), "forgotten": [sorted(forgotten.ids), forgotten.patterns], "versions": _versions(),
        "bytes_per_unit": bytes_per_unit,
    }  # fmt: skip
    with _work_folder(work, out, plan):
        verdicts = _decide_elsewhere(tasks, work, config, scale) if scale and scale.executor != "here" else None
        results: list[dict[str, Any]] = []
        for result in in_order(judge_unit, tasks, processes if verdicts is None else 1):
            results.append(result)
            yield from (Unread(*line) for line in result["unread"])
            yield _progress(results, len(tasks))
        verdicts = verdicts or _decide_duplicates(work, results, config)
        manifest = Manifest(kind="corpus", inputs=dict(inputs), config=dict(settings))
        with write_artifact(out, manifest) as folder:
            settlings = [Settling(n, work, folder, verdict) for n, verdict in enumerate(verdicts)]
            summary = Summary()
            for part in in_order(settle_unit, settlings, processes):
                summary.merge(part)
            _check_any_kept(summary, data)
            write_forgotten(folder, forgotten)
            write_report(folder, manifest, summary, [line for r in results for line in r["unread"]])
    yield Curated(Corpus(out, manifest), summary)


def _list_tasks(
    data: DataConfig, config: CurateConfig, forgotten: Forgotten, work: Path, bytes_per_unit: int
) -> list[Task]:
    units = [(source, unit) for source in data.all_sources for unit in list_units(source, bytes_per_unit)]
    return [
        Task(n, unit, source.name or source.path, data, config, forgotten, work)
        for n, (source, unit) in enumerate(units)
    ]


def _progress(results: Sequence[Mapping[str, int]], units: int) -> UnitDone:
    documents, kept, read = (sum(r[name] for r in results) for name in ("documents", "kept", "bytes"))
    return UnitDone(len(results), units, documents, kept, read)


def _check_any_kept(summary: Summary, data: DataConfig) -> None:
    if not summary.kept:
        raise DataError(
            "no document is left",
            where=", ".join(source.path for source in data.all_sources),
            got=", ".join(f"{count} {reason}" for reason, count in summary.reasons.most_common(3))
            or "nothing readable",
            next="give --licence or --allow-unlicensed, or fewer rules: curate.filters=[]",
        )


@contextmanager
def _work_folder(work: Path, out: Path, plan: Mapping[str, Any]) -> Iterator[None]:
    """Hold the folder of finished units beside `out`, emptied first unless it is of just this plan, gone afterwards.

    An error leaves it, so that the next call goes on, unless nothing was to be had from these sources at all.
    """
    with explain_os_errors(out):
        check_replaceable(out, "corpus")
        with lock(work):
            _empty_unless(work, json.dumps(plan, sort_keys=True))
            try:
                yield
            except DataError:
                shutil.rmtree(work)
                raise
        shutil.rmtree(work)


def _empty_unless(work: Path, plan: str) -> None:
    """Empty the folder unless what lies in it was made by this very plan."""
    file = work / "plan.json"
    if not file.exists() or file.read_text(encoding="utf-8") != plan:
        for old in work.iterdir():
            if old.is_dir():
                shutil.rmtree(old)
            elif old.name != LOCK_FILE:
                old.unlink()
        file.write_text(plan, encoding="utf-8")


def _versions() -> dict[str, str]:
    """Return the versions of what decides a verdict: a unit judged by others is judged again."""
    return {name: metadata.version(name) for name in ("dozero", "py3langid", "ftfy", "pyarrow")}


# --- one unit ----------------------------------------------------------------------------------------------------


def judge_unit(task: Task) -> dict[str, Any]:
    """Read, clean, judge and sign the documents of a unit, store them in the work folder and return their counts."""
    record = task.work / f"unit-{task.number:06d}.json"
    if record.exists():  # done before an interruption
        return json.loads(record.read_text(encoding="utf-8"))
    judge = make_judge(task.data, task.config, task.forgotten)
    signer = Signer(task.config)
    unread: list[list[str]] = []
    counts = {"documents": 0, "kept": 0, "bytes": 0}
    with (
        RowWriter(file_of(task.work, "kept", task.number), dropped=False) as kept,
        RowWriter(file_of(task.work, "dropped", task.number), dropped=True) as dropped,
    ):
        for item in read_unit(task.unit):
            if isinstance(item, Unreadable):
                unread.append([item.where, item.what])
                continue
            counts["documents"] += 1
            counts["bytes"] += len(item.text.encode())
            stored, parts = judge_document(item._replace(collection=task.collection), judge)
            (dropped if stored.reason else kept).add(stored)
            if not stored.reason:
                counts["kept"] += 1
                signer.add(stored.document.text, parts)
    np.save(task.work / f"signs-{task.number:06d}.npy", signer.table())
    result = {**counts, "unread": unread}
    half = record.with_suffix(".half")
    write_json(half, result)
    os.replace(half, record)  # last, and whole: this is what makes the unit done
    return result


class Signer:
    """Gathers the signatures of kept documents: one row each, the hash of the whole text and one hash a band."""

    def __init__(self, config: CurateConfig) -> None:
        self._config = config
        self._waiting: list[Parts] = []
        self._exact: list[int] = []
        self._bands: list[NDArray[np.uint64]] = []

    def add(self, text: str, parts: Parts) -> None:
        """Sign a document."""
        self._exact.append(exact_hash(text))
        self._waiting.append(parts)
        if len(self._waiting) == SIGNED_AT_ONCE:
            self._sign()

    def table(self) -> NDArray[np.uint64]:
        """Return the signatures of all documents, shape (documents, 1 + bands)."""
        self._sign()
        bands = np.concatenate([np.empty((0, self._config.bands), np.uint64), *self._bands])
        return np.column_stack([np.array(self._exact, dtype=np.uint64), bands])

    def _sign(self) -> None:
        if self._config.near_duplicates:
            self._bands.append(sign_many(self._waiting, self._config))
        else:
            self._bands.append(np.zeros((len(self._waiting), self._config.bands), np.uint64))
        self._waiting = []


# --- all together ------------------------------------------------------------------------------------------------


def _decide_elsewhere(
    tasks: list[Task], work: Path, config: CurateConfig, scale: ScaleConfig
) -> list[NDArray[np.uint8]]:
    """Have all units judged on datatrove's executors, which leave each unit's record where judge_unit finds it."""
    from dozero.corpus.scale import decide_at_scale

    verdicts = decide_at_scale(judge_unit, tasks, work, config, scale)
    if verdicts is None:
        raise ArtifactError(
            "jobs are queued or running on the cluster", where=work, next="the same command when they are done"
        )
    return verdicts


def _decide_duplicates(
    work: Path, results: Sequence[Mapping[str, int]], config: CurateConfig
) -> list[NDArray[np.uint8]]:
    """Return for each unit what becomes of its kept documents, in order: 0 stays, 1 exact duplicate, 2 near one.

    The first of equals stays. Signatures are gathered on disk, a band after the other, since only one is looked at
    at a time.
    """
    total = sum(result["kept"] for result in results)
    verdict = np.zeros(total, np.uint8)
    if total:
        table = np.memmap(work / "signs.bin", np.uint64, "w+", shape=(1 + config.bands, total))
        at = 0
        for n, result in enumerate(results):
            table[:, at : at + result["kept"]] = np.load(work / f"signs-{n:06d}.npy").T
            at += result["kept"]
        own = np.arange(total)
        if config.near_duplicates:
            verdict[find_duplicates(table[1:].T) != own] = 2
        if config.exact_duplicates:
            verdict[first_of_equal(np.array(table[0])) != own] = 1
    return np.split(verdict, np.cumsum([result["kept"] for result in results])[:-1])
