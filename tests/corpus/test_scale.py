"""The same documents whether one machine curates or datatrove's executors do."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from dozero.corpus.build import corpus_settings
from dozero.corpus.curate import Curated, curate
from dozero.corpus.duplicates import find_duplicates, first_of_equal
from dozero.corpus.scale import (
    EXACT,
    NEAR,
    STAYS,
    Sieve,
    SortSignatures,
    decide_at_scale,
    share,
)
from dozero.corpus.store import open_corpus, read_rows
from dozero.errors import ConfigError, MissingExtra
from dozero.settings import CurateConfig, DataConfig, ScaleConfig

BANDS = 3
CONFIG = CurateConfig(bands=BANDS, rows=2)
LOCAL = ScaleConfig(executor="local", tasks=3, workers=1)


@dataclass(frozen=True)
class Portion:
    """A unit whose signatures are drawn at random, few enough values that many documents meet."""

    number: int
    folder: Path
    documents: int

    def draw(self):
        return np.random.default_rng(self.number).integers(0, 400, (self.documents, 1 + BANDS)).astype(np.uint64) << 40


def store_signatures(unit):
    np.save(unit.folder / f"signs-{unit.number:06d}.npy", unit.draw())


def portions(folder, *sizes):
    return [Portion(n, folder, size) for n, size in enumerate(sizes)]


def decided_on_one_machine(units, config):
    signatures = np.concatenate([unit.draw() for unit in units])
    own = np.arange(len(signatures))
    verdict = np.full(len(own), STAYS)
    if config.near_duplicates:
        verdict[find_duplicates(signatures[:, 1:]) != own] = NEAR
    if config.exact_duplicates:
        verdict[first_of_equal(signatures[:, 0]) != own] = EXACT
    return np.split(verdict, np.cumsum([unit.documents for unit in units])[:-1])


def same(left, right):
    return len(left) == len(right) and all((a == b).all() for a, b in zip(left, right, strict=True))


# --- duplicates --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("near", [True, False])
@pytest.mark.parametrize("exact", [True, False])
def test_clusters_are_those_of_one_machine(tmp_path, near, exact):
    config = CONFIG.model_copy(update={"near_duplicates": near, "exact_duplicates": exact})
    units = portions(tmp_path, 40, 0, 25, 60, 1)
    decided = decide_at_scale(store_signatures, units, tmp_path, config, LOCAL)
    expected = decided_on_one_machine(units, config)
    assert same(decided, expected)
    assert {*np.concatenate(expected).tolist()} == {STAYS} | ({NEAR} if near else set()) | ({EXACT} if exact else set())


@pytest.mark.parametrize("tasks", [1, 2, 7])
def test_number_of_tasks_does_not_matter(tmp_path, tasks):
    units = portions(tmp_path, 30, 30, 30)
    scale = LOCAL.model_copy(update={"tasks": tasks})
    assert same(
        decide_at_scale(store_signatures, units, tmp_path, CONFIG, scale), decided_on_one_machine(units, CONFIG)
    )


def test_signatures_are_read_back_by_datatrove(tmp_path):
    from datatrove.io import get_datafolder
    from datatrove.pipeline.dedup.minhash import MinhashConfig, read_sigs
    from datatrove.utils.hashing import HashConfig

    [unit] = portions(tmp_path, 50)
    store_signatures(unit)
    SortSignatures(1, tmp_path / "datatrove", (2,))(None, 0, 1)
    folder = get_datafolder(str(tmp_path / "datatrove" / "signs" / "bucket_000"))
    config = MinhashConfig(num_buckets=1, hashes_per_bucket=2, hash_config=HashConfig(64, "sha1"))
    read = list(read_sigs(folder.open("00000.minhash.sig"), 0, config))
    hashes = {sig.doc_id: (sig.sig[0] << 32) + sig.sig[1] for sig in read}
    assert [hashes[i] for i in range(50)] == unit.draw()[:, 2].tolist()


def refuse(unit):
    raise AssertionError(f"unit {unit} was judged again")


def test_what_was_done_is_not_done_again(tmp_path):
    units = portions(tmp_path, 20, 20)
    first = decide_at_scale(store_signatures, units, tmp_path, CONFIG, LOCAL)
    assert same(decide_at_scale(refuse, units, tmp_path, CONFIG, LOCAL), first)


def test_after_a_failure_the_rest_is_done(tmp_path):
    units = portions(tmp_path, 20, 20, 20)

    def fail_once(unit):
        if unit.number == 2 and not (tmp_path / "failed").exists():
            (tmp_path / "failed").touch()
            raise OSError("the power went")
        store_signatures(unit)

    with pytest.raises(OSError, match="the power went"):
        decide_at_scale(fail_once, units, tmp_path, CONFIG, LOCAL)
    assert same(decide_at_scale(fail_once, units, tmp_path, CONFIG, LOCAL), decided_on_one_machine(units, CONFIG))


@pytest.mark.parametrize(("items", "tasks"), [("", 3), ("ab", 5), ("abcdefg", 3)])
def test_shares_are_the_whole_in_order(items, tasks):
    assert "".join(share(items, rank, tasks) for rank in range(tasks)) == items


# --- the whole of it ---------------------------------------------------------------------------------------------


FILTERS = ("length", "gopher_quality", "gopher_repetition")
COMMON = "o a de que e do da em um para com não uma os no se na por mais as dos como mas foi ao ele das tem"
DATA = {"kind": "text", "licence": "CC0-1.0", "lang": "pt"}


def write_input(folder):
    """Files of a few documents: good ones, copies, near-copies and bad ones."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    texts = [" ".join(rng.choice([*COMMON.split(), *(f"palavra{i}" for i in range(200))], 120)) for _ in range(30)]
    texts += [texts[3], texts[4].upper(), texts[5] + " fim.", texts[6].replace(" ", " outra ", 1), "curto", "a " * 200]
    for number, part in enumerate(np.array_split(np.array(texts, dtype=object), 4)):
        lines = (json.dumps({"text": text}) for text in part)
        (folder / f"{number}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return texts


@pytest.fixture
def settings(tmp_path):
    write_input(tmp_path / "input")
    data = DataConfig(source=str(tmp_path / "input"), **DATA)
    return data, CurateConfig(filters=FILTERS)


def run_curate(settings, out, scale):
    *_, last = curate(*settings, out, {}, corpus_settings(*settings), scale=scale)
    assert isinstance(last, Curated)
    return {file.name: file.read_bytes() for file in sorted(out.iterdir()) if file.suffix == ".parquet"}


def test_both_ways_give_the_same_documents(settings, tmp_path):
    here = run_curate(settings, tmp_path / "here", ScaleConfig())
    there = run_curate(settings, tmp_path / "there", LOCAL)
    assert here == there
    reasons = {row.reason for row in open_corpus(tmp_path / "there").stored(kept=False)}
    assert {"exact duplicate", "near duplicate"} < reasons


@pytest.mark.slow
def test_two_workers_give_the_same_documents(settings, tmp_path):
    here = run_curate(settings, tmp_path / "here", ScaleConfig())
    assert here == run_curate(settings, tmp_path / "there", LOCAL.model_copy(update={"workers": 2, "tasks": 2}))


def test_filters_stand_in_a_pipeline_of_ones_own(settings, tmp_path):
    from datatrove.data import Document as TheirDocument
    from datatrove.executor.local import LocalPipelineExecutor

    data, config = settings
    config = config.model_copy(update={"near_duplicates": False, "exact_duplicates": False})
    run_curate((data, config), tmp_path / "here", ScaleConfig())
    corpus = open_corpus(tmp_path / "here")
    stored = [*corpus.stored(kept=True), *corpus.stored(kept=False)]
    texts = [
        json.loads(line)["text"]
        for file in sorted(Path(data.source).iterdir())
        for line in file.read_text().splitlines()
    ]
    theirs = [TheirDocument(text, f"{n}", metadata={"licence": "CC0-1.0"}) for n, text in enumerate(texts)]
    kept = []
    sieve = Sieve(data, config, tmp_path)
    steps = [theirs, sieve, lambda documents, rank, world_size: kept.extend(documents)]
    LocalPipelineExecutor(steps, logging_dir=str(tmp_path / "logs"), workers=1).run()
    assert [document.text for document in kept] == [row.document.text for row in stored if row.reason is None]
    dropped = [(row.id, row.reason) for row in read_rows(tmp_path / "dropped-000000.parquet")]
    assert dropped == [(row.id, row.reason) for row in stored if row.reason]


# --- clusters of machines ----------------------------------------------------------------------------------------


def install(folder, **commands):
    """Write shell scripts that stand in for the commands of Slurm."""
    folder.mkdir()
    for name, script in commands.items():
        (folder / name).write_text(f"#!/bin/bash\n{script}\n")
        (folder / name).chmod(0o755)


@pytest.fixture
def busy_cluster(tmp_path, monkeypatch):
    """A Slurm that takes jobs, keeps them and never runs them; a folder with its queue and its log of submissions."""
    folder = tmp_path / "slurm"
    install(
        folder,
        sbatch=f"cat $0 > /dev/null; echo x >> {folder}/submitted; touch {folder}/queue; echo Submitted batch job 7",
        squeue=f"test -e {folder}/queue && echo 7; true",
    )
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


SLURM = ScaleConfig(executor="slurm", tasks=2, partition="cpu")


def test_jobs_in_the_queue_are_not_submitted_again(busy_cluster, tmp_path):
    units = portions(tmp_path, 20, 20)
    assert decide_at_scale(store_signatures, units, tmp_path, CONFIG, SLURM) is None
    submitted = (busy_cluster / "submitted").read_text()
    assert decide_at_scale(store_signatures, units, tmp_path, CONFIG, SLURM) is None
    assert (busy_cluster / "submitted").read_text() == submitted
    (busy_cluster / "queue").unlink()  # the cluster lost them
    assert decide_at_scale(store_signatures, units, tmp_path, CONFIG, SLURM) is None
    assert len((busy_cluster / "submitted").read_text()) == 2 * len(submitted)


@pytest.mark.slow
def test_slurm_gives_the_same_documents(settings, tmp_path, monkeypatch):
    """With a cluster of one machine that runs each job as it is submitted."""
    folder = tmp_path / "slurm"
    python = Path(sys.executable).parent
    install(
        folder,
        sbatch=r"""
            script=$(mktemp); cat "${@: -1}" > $script
            last=$(grep -oP '(?<=--array=0-)\d+' $script || echo 0)
            for i in $(seq 0 $last); do SLURM_ARRAY_TASK_ID=$i SLURM_NODELIST=here bash $script >&2 || exit 1; done
            echo Submitted batch job 7""",
        srun='while [ "${1#-}" != "$1" ]; do if [ "$1" = -n ]; then shift; fi; shift; done; exec "$@"',
        scontrol="echo localhost",
        squeue="true",
    )
    monkeypatch.setenv("PATH", f"{folder}:{python}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2] / "src"))
    data, config = settings
    settings = data, config.model_copy(update={"bands": 4})
    here = run_curate(settings, tmp_path / "here", ScaleConfig())
    assert run_curate(settings, tmp_path / "there", SLURM) == here


def test_slurm_needs_a_partition_and_sbatch(tmp_path, monkeypatch):
    with pytest.raises(ValidationError, match="needs a partition"):
        ScaleConfig(executor="slurm")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="no Slurm"):
        decide_at_scale(refuse, [], tmp_path, CONFIG, SLURM)


@pytest.mark.parametrize(("package", "executor"), [("ray", "ray"), ("datatrove", "local")])
def test_missing_package_is_named(tmp_path, monkeypatch, package, executor):
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Hidden(package), *sys.meta_path])
    with pytest.raises(MissingExtra, match=package):
        decide_at_scale(refuse, [], tmp_path, CONFIG, ScaleConfig(executor=executor))


class Hidden:
    """A finder to which a package is not installed."""

    def __init__(self, package):
        self.package = package

    def find_spec(self, name, *_):
        if name.split(".")[0] == self.package:
            raise ModuleNotFoundError(name)
