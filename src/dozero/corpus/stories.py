"""The corpus of stories: told by our own grammar, as many as asked for, no two alike."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dozero.artifact import Manifest, write_artifact
from dozero.corpus.document import Document
from dozero.corpus.store import Corpus, RowWriter, Stored
from dozero.durable import write_json
from dozero.processes import in_order
from dozero.settings import DataConfig
from dozero.stories.tell import describe, tell

SEED = 0  # of the corpus: story number n is the same in every corpus of a language
STORIES_AT_ONCE = 10_000
LICENCE = "CC0-1.0"


@dataclass(frozen=True)
class Chapter:
    """Some consecutive stories, on their way into one file."""

    lang: str
    first: int
    last: int
    file: Path


def write_stories(config: DataConfig, out: Path, manifest: Manifest, processes: int = 1) -> Corpus:
    """Write the first `config.stories` stories and report.json, with the entropy of the grammar, to the folder `out`."""
    facts = describe(config.lang)
    manifest.about = {"source": f"dozero.stories {config.lang}", "licence": LICENCE, "language": config.lang}
    with write_artifact(out, manifest) as folder:
        starts = range(0, config.stories, STORIES_AT_ONCE)
        chapters = [
            Chapter(
                config.lang, first, min(first + STORIES_AT_ONCE, config.stories), folder / f"documents-{n:06d}.parquet"
            )
            for n, first in enumerate(starts)
        ]
        for _ in in_order(write_chapter, chapters, processes):
            pass
        manifest.counts = {"kept": config.stories, "dropped": 0, "by_reason": {}}
        grammar = {"plots": facts.plots, "words": facts.words, "nats_per_story": facts.nats_per_story}
        write_json(folder / "report.json", {**manifest.counts, **manifest.about, "grammar": grammar})
    return Corpus(out, manifest)


def write_chapter(chapter: Chapter) -> None:
    """Tell the stories of a chapter into its file."""
    with RowWriter(chapter.file, dropped=False) as writer:
        for index in range(chapter.first, chapter.last):
            source = f"dozero.stories {chapter.lang}#{index}"
            document = Document(tell(chapter.lang, SEED, index), source, LICENCE, chapter.lang, "stories")
            writer.add(Stored(document.id, document))
