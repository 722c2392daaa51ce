"""The peer: near-duplicates of a folder of jsonl files by datatrove alone, its own signatures, words cut by spaCy.

    python benchmarks/peers/datatrove_minhash.py FOLDER [--tasks 2] [--workers 2]

Prints a JSON object: documents, seconds for signatures and for the three stages after them, and what was left.
Needs datatrove, spacy, orjson and xxhash before 4 (datatrove 0.10 hands it text).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def run_stage(steps: list[Any], logs: Path, tasks: int, workers: int) -> tuple[float, Any]:
    """Run one pipeline and return its seconds and statistics."""
    from datatrove.executor.local import LocalPipelineExecutor

    began = time.perf_counter()
    stats = LocalPipelineExecutor(steps, tasks=tasks, workers=workers, logging_dir=str(logs)).run()
    return time.perf_counter() - began, stats


def main() -> None:
    """Run the four stages of MinHash and print how long they took."""
    from datatrove.pipeline.dedup.minhash import (
        MinhashConfig,
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
        MinhashDedupSignature,
    )
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import JsonlWriter
    from datatrove.utils.typeshelper import Languages

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="jsonl files, as many as tasks or more, with the field text")
    parser.add_argument("--tasks", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    config = MinhashConfig(n_grams=5, num_buckets=14, hashes_per_bucket=8)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        signs, pairs, removed = (str(work / part) for part in ("signs", "pairs", "removed"))
        reader = JsonlReader(str(args.folder), glob_pattern="*.jsonl")
        sign = MinhashDedupSignature(signs, config=config, language=Languages.portuguese)
        sign_s, _ = run_stage([reader, sign], work / "logs1", args.tasks, args.workers)
        meet = MinhashDedupBuckets(signs, pairs, config=config)
        meet_s, _ = run_stage([meet], work / "logs2", config.num_buckets, args.workers)
        cluster_s, _ = run_stage([MinhashDedupCluster(pairs, removed, config=config)], work / "logs3", 1, 1)
        sieve = MinhashDedupFilter(removed)
        filter_s, stats = run_stage(
            [reader, sieve, JsonlWriter(str(work / "kept"))], work / "logs4", args.tasks, args.workers
        )
        counts = stats.stats[1].stats
        json.dump(
            {
                "documents": counts["total"].total,
                "kept": counts["forwarded"].total,
                "signatures_s": sign_s,
                "rest_s": meet_s + cluster_s + filter_s,
            },
            sys.stdout,
        )
        print()


if __name__ == "__main__":
    main()
