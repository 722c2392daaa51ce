"""The corpus stage: words, stories or any files in, a folder of documents kept and dropped out."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dozero.artifact import Manifest, write_artifact
from dozero.corpus.events import UnitDone, Unread
from dozero.corpus.store import WORDS, Corpus, open_corpus
from dozero.corpus.words import curate_words
from dozero.durable import sha256_of, write_json
from dozero.errors import ConfigError, DataError
from dozero.settings import CurateConfig, DataConfig, ScaleConfig, SourceConfig

SAMPLES_PER_REASON = 8
WORD_SETTINGS = ("kind", "source", "licence", "lang", "max_words", "min_letters", "max_letters", "foreign_ratio")
STORY_SETTINGS = ("kind", "lang", "stories")
TEXT_SETTINGS = ("kind", "source", "licence", "allow_unlicensed", "sources")


def corpus_inputs(data: DataConfig, config: CurateConfig | None = None) -> dict[str, str]:
    """Return the fingerprint of what the corpus is read from: hashes of files, or the version of what is built in."""
    from importlib import metadata

    if data.kind == "stories":
        return {"dozero.stories": metadata.version("dozero")}
    if data.kind == "text":
        return _fingerprint_of_files(data, config or CurateConfig())
    if not data.source:
        return {"wordfreq": metadata.version("wordfreq")}
    path = Path(data.source)
    if not path.is_file():
        raise DataError("no such word file", where=path, expected="a text file with one word a line")
    try:
        return {path.name: sha256_of(path)}
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", where=path) from None


def _fingerprint_of_files(data: DataConfig, config: CurateConfig) -> dict[str, str]:
    from dozero.corpus.read.listing import fingerprint

    if not data.all_sources:
        raise ConfigError("no source of text", where="data.source", expected="a file, folder, glob, URL or hf://name")
    exam = (SourceConfig(path=config.evaluation),) if config.evaluation else ()
    sources = (*data.all_sources, *exam)
    return {f"{s.path}: {name}": digest for s in sources for name, digest in fingerprint(s).items()}


def corpus_settings(data: DataConfig, config: CurateConfig) -> dict[str, Any]:
    """Return the settings that decide what a corpus holds."""
    names = {"words": WORD_SETTINGS, "stories": STORY_SETTINGS, "text": TEXT_SETTINGS}[data.kind]
    settings = data.model_dump(include=set(names), mode="json")
    return settings | ({"curate": config.model_dump(mode="json")} if data.kind == "text" else {})


def build_corpus(
    data: DataConfig,
    config: CurateConfig,
    out: Path,
    inputs: Mapping[str, str],
    processes: int = 1,
    scale: ScaleConfig | None = None,
) -> Iterator[UnitDone | Unread]:
    """Write the corpus folder `out` from the inputs named, and yield what happens on the way."""
    settings = corpus_settings(data, config)
    if data.kind == "text":
        from dozero.corpus.curate import Curated, curate

        events = curate(data, config, out, inputs, settings, processes, scale=scale)
        yield from (event for event in events if not isinstance(event, Curated))
    elif data.kind == "stories":
        from dozero.corpus.stories import write_stories

        write_stories(data, out, Manifest(kind="corpus", inputs=dict(inputs), config=settings), processes)
    else:
        write_words(data, out, Manifest(kind="corpus", inputs=dict(inputs), config=settings))


def write_words(config: DataConfig, out: Path, manifest: Manifest) -> Corpus:
    """Write words.txt (kept), dropped.tsv (word, reason) and report.json to the folder `out`."""
    kept, dropped = curate_words(config)
    reasons = Counter(reason for _, reason in dropped)
    samples = {r: [w for w, why in dropped if why == r][:SAMPLES_PER_REASON] for r in reasons}
    manifest.counts = {"kept": len(kept), "dropped": len(dropped), "by_reason": dict(reasons.most_common())}
    manifest.about = {"source": kept[0].source, "licence": kept[0].licence, "language": config.lang}
    with write_artifact(out, manifest) as folder:
        (folder / WORDS).write_text("".join(f"{document.text}\n" for document in kept), encoding="utf-8")
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
