"""The corpus stage: words in, a folder of kept and dropped words with a report out."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Any

from dozero.artifact import Manifest, sha256_of, write_artifact, write_json
from dozero.settings import DataConfig
from dozero.corpus.store import WORDS, Corpus, open_corpus
from dozero.corpus.words import curate_words
from dozero.errors import DataError

SAMPLES_PER_REASON = 8


def corpus_inputs(config: DataConfig) -> dict[str, str]:
    """Return the fingerprint of what the corpus is read from: the package's version, or the file's hash."""
    from importlib import metadata

    if not config.source:
        return {"wordfreq": metadata.version("wordfreq")}
    path = Path(config.source)
    if not path.is_file():
        raise DataError("no such word file", where=path, expected="a text file with one word a line")
    try:
        return {path.name: sha256_of(path)}
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", where=path) from None


def corpus_settings(config: DataConfig) -> dict[str, Any]:
    """Return the settings that decide what a corpus holds."""
    return config.model_dump(exclude={"heldout_percent"})


def build_corpus(config: DataConfig, out: Path) -> Corpus:
    """Write words.txt (kept), dropped.tsv (word, reason) and report.json to the folder `out`."""
    kept, dropped = curate_words(config)
    texts = [document.text for document in kept]
    reasons = Counter(reason for _, reason in dropped)
    samples = {r: [w for w, why in dropped if why == r][:SAMPLES_PER_REASON] for r in reasons}
    manifest = Manifest(
        kind="corpus",
        inputs=corpus_inputs(config),
        config=corpus_settings(config),
        counts={"kept": len(kept), "dropped": len(dropped), "by_reason": dict(reasons.most_common())},
        about={"source": kept[0].source, "licence": kept[0].licence, "language": config.lang},
    )
    with write_artifact(out, manifest) as folder:
        (folder / WORDS).write_text("\n".join(texts) + "\n", encoding="utf-8")
        with (folder / "dropped.tsv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, delimiter="\t", lineterminator="\n").writerows(dropped)
        write_json(folder / "report.json", {**manifest.counts, **manifest.about, "samples": samples})
    return Corpus(out, manifest)


def known_words(path: Path) -> frozenset[str]:
    """Return every word the corpus at `path` was made from, kept or dropped: what is not among them is new."""
    limit = csv.field_size_limit(2**31 - 1)  # of the whole process; a dropped "word" may be a line as long as a book
    try:
        with (path / "dropped.tsv").open(encoding="utf-8", newline="") as file:
            dropped = [row[0] for row in csv.reader(file, delimiter="\t")]
    finally:
        csv.field_size_limit(limit)
    return frozenset(open_corpus(path).texts()).union(dropped)
