"""The peer of `scale`: datatrove's own filters and MinHash over one jsonl, words cut by spaCy, as it comes.

    python benchmarks/peers/datatrove_pipeline.py FILE.jsonl OUT PROCESSES

Gopher quality and repetition, C4, FineWeb, then MinHash in its four stages (5 words, 14 bands of 8), in Portuguese, with
as many tasks and workers as PROCESSES. Needs datatrove, spacy, orjson, xxhash<4 and nltk.
"""

from __future__ import annotations

import sys
from itertools import cycle
from pathlib import Path
from typing import Any


def main() -> None:
    """Run the whole pipeline."""
    from datatrove.executor.local import LocalPipelineExecutor
    from datatrove.pipeline.dedup.minhash import (
        MinhashConfig,
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
        MinhashDedupSignature,
    )
    from datatrove.pipeline.filters import (
        C4QualityFilter,
        FineWebQualityFilter,
        GopherQualityFilter,
        GopherRepetitionFilter,
    )
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import JsonlWriter
    from datatrove.utils.typeshelper import Languages

    file, out, processes = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    split(file, out / "in", processes)
    language = Languages.portuguese
    config = MinhashConfig(n_grams=5, num_buckets=14, hashes_per_bucket=8)
    signs, pairs, removed = (str(out / part) for part in ("signs", "pairs", "removed"))

    def run(name: str, tasks: int, steps: list[Any]) -> None:
        LocalPipelineExecutor(steps, tasks=tasks, workers=processes, logging_dir=str(out / "logs" / name)).run()

    run(
        "filter",
        processes,
        [
            JsonlReader(str(out / "in")),
            GopherQualityFilter(language=language, stop_words=["o", "a", "de", "e", "que", "em", "um", "para"]),
            GopherRepetitionFilter(language=language),
            C4QualityFilter(language=language),
            FineWebQualityFilter(language=language),
            JsonlWriter(str(out / "filtered"), compression=None),
        ],
    )
    # Signing lets no document through, so it ends a pipeline.
    signing = MinhashDedupSignature(signs, config=config, language=language)
    run("sign", processes, [JsonlReader(str(out / "filtered")), signing])
    run("meet", config.num_buckets, [MinhashDedupBuckets(signs, pairs, config=config)])
    run("cluster", 1, [MinhashDedupCluster(pairs, removed, config=config)])
    run(
        "keep",
        processes,
        [JsonlReader(str(out / "filtered")), MinhashDedupFilter(removed), JsonlWriter(str(out / "kept"))],
    )


def split(file: Path, folder: Path, parts: int) -> None:
    """Deal the lines of a file to as many files, one for each task."""
    folder.mkdir(parents=True)
    outs = [(folder / f"{n}.jsonl").open("w", encoding="utf-8") for n in range(parts)]
    with file.open(encoding="utf-8") as lines:
        for line, out in zip(lines, cycle(outs), strict=False):
            out.write(line)
    for out in outs:
        out.close()


if __name__ == "__main__":
    main()
