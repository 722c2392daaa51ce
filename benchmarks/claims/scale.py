"""Claim: curation of 2 GB on two cores keeps its memory and its pace, many times that of the same filters elsewhere."""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from claims.claim import Claim, at_least, at_most
from peers.debian_text import help_text

DOCUMENT_BYTES = 2500
SMALL_MB, LARGE_MB, PEER_MB = 20, 2000, 20
PROCESSES = 2
PEER = Path(__file__).parent.parent / "peers" / "datatrove_pipeline.py"


def scale(quick: bool) -> Iterator[Claim]:
    """Measure ours on a small and a large corpus, and datatrove's filters on the small one."""
    large_mb = 100 if quick else LARGE_MB
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small, large = folder / "small.jsonl", folder / "large.jsonl"
        documents = write_documents(small, SMALL_MB, seed=0), write_documents(large, large_mb, seed=1)
        runs = [curate_in_process(small, folder / f"small-{i}") for i in range(3)]
        large_s, large_cpu_s, large_bytes = curate_in_process(large, folder / "large")
        small_s, small_cpu_s = (sorted(run[i] for run in runs)[1] for i in (0, 1))
        large.unlink()
        # Told before the peer runs, which may be missing or fail.
        yield from growth_claims(large_mb, documents, (small_s, small_cpu_s), (large_s, large_cpu_s), large_bytes)
        peer_s = run_peer(small, folder / "peer")
    ours, theirs = documents[1] / large_s, documents[0] / peer_s
    yield Claim(
        "documents per second (ours, datatrove with its own filters)", ours, theirs, ours / theirs, ">= 8, aim 20",
        ours >= 8 * theirs,
    )  # fmt: skip
    yield at_least("the same on the small corpus alone", documents[0] / small_s / theirs, 8)


def growth_claims(
    large_mb: int, documents: tuple[int, int], small: tuple[float, float], large: tuple[float, float], peak_bytes: int
) -> Iterator[Claim]:
    """Claim memory and pace at both sizes, each given in seconds and in seconds of processors."""
    yield at_most(f"{large_mb} MB on {PROCESSES} processes: peak memory of all, MB", peak_bytes / 1e6, 800)
    yield at_most(
        f"cost of a document at {large_mb} MB against {SMALL_MB} MB",
        large[0] / documents[1] / (small[0] / documents[0]),
        1.15,
    )
    growth = large[1] / documents[1] / (small[1] / documents[0])
    yield Claim("the same in seconds of processors, of a document at each size, ms", 1e3 * large[1] / documents[1], 1e3 * small[1] / documents[0], growth, "told", True)  # fmt: skip


def write_documents(file: Path, megabytes: int, seed: int) -> int:
    """Write a JSONL of documents of about 2.5 kB, sentences of the Portuguese help in random order; return how many."""
    lines = [line for line in help_text().split("\n") if len(line) > 40 and line[-1:] in ".!?"]
    rng, count, written = random.Random(seed), 0, 0
    with file.open("w", encoding="utf-8") as out:
        while written < megabytes * 1_000_000:
            text, size = [], 0
            while size < DOCUMENT_BYTES:
                text.append(" ".join(rng.choices(lines, k=rng.randint(2, 5))))
                size += len(text[-1].encode()) + 2
            record = json.dumps({"text": "\n\n".join(text), "licence": "MPL-2.0"}, ensure_ascii=False)
            out.write(record + "\n")
            written += len(record.encode()) + 1
            count += 1
    return count


def curate_in_process(source: Path, out: Path) -> tuple[float, float, int]:
    """Run `dozero curate` as a user would; return its seconds, those of all its processors, and its peak memory in bytes."""
    command = [sys.executable, "-m", "dozero", "curate", str(source), "-o", str(out), "--lang", "pt"]
    began, spent, peak = time.perf_counter(), children_cpu_s(), 0
    with subprocess.Popen([*command, "--processes", str(PROCESSES)], stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            peak = max(peak, sum(memory_of(pid) for pid in family(process.pid)))
            time.sleep(0.2)
    assert process.returncode == 0
    return time.perf_counter() - began, children_cpu_s() - spent, peak


def children_cpu_s() -> float:
    """Return the seconds of processors that ended children, and theirs, have taken."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def family(pid: int) -> list[int]:
    """Return a process and all it started."""
    children = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children += [int(child) for child in task.read_text().split()]
        except OSError:
            continue
    return [pid, *(member for child in children for member in family(child))]


def memory_of(pid: int) -> int:
    """Return the bytes of memory a process holds, its part of shared pages counted once among those who share."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def run_peer(source: Path, folder: Path) -> float:
    """Return the seconds that datatrove takes with its own filters of the same kinds, on as many processes."""
    began = time.perf_counter()
    subprocess.run([sys.executable, str(PEER), str(source), str(folder), str(PROCESSES)], check=True)
    return time.perf_counter() - began
