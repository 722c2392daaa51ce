"""Claim: every planted copy of 30 characters or more is found, with its document and licence, and nothing else is."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from claims.claim import Claim, at_least, at_most

SHORTEST = 30
LETTERS = "aaaabcdeeeefghiiijlmnoooopqrstuvxzáéíóúãõç      ,."
LICENCES = ("CC0-1.0", "CC-BY-4.0", "MIT", "own")
WORKSPACE = """\
extends = "text"
[data]
lang = "pt"
source = {source}
[curate]
filters = []
"""


def copy_meter(quick: bool) -> Iterator[Claim]:
    """Plant passages of documents in samples of noise; then let a model learn a corpus by heart and recite it."""
    from dozero.corpus.document import Document
    from dozero.eval.copies import find_copies

    draw = random.Random(7)
    documents = [
        Document(noise(draw, 2000), f"book-{n}.txt", draw.choice(LICENCES)) for n in range(500 if quick else 10_000)
    ]
    planted = [plant(draw, documents) for _ in range(200 if quick else 1000)]
    samples = [sample for sample, *_ in planted]
    began = time.perf_counter()
    found = find_copies(samples, documents)
    seconds = time.perf_counter() - began
    complete = sum(
        any(c.sample == n and passage in c.text and c.document.source == told.source and c.document.licence == told.licence
            for c in found.copies)
        for n, (_, told, passage) in enumerate(planted)
    )  # fmt: skip
    began = time.perf_counter()
    by_sliding = slide(samples, [document.text for document in documents])
    sliding_s = time.perf_counter() - began
    ours = {(c.sample, at) for c in found.copies for at in range(c.start, c.start + len(c.text) - SHORTEST + 1)}
    megabytes = sum(len(document.text) for document in documents) / 1e6
    yield at_least(f"planted passages found with document and licence, of {len(planted)}", complete, len(planted))
    yield at_most(f"places told otherwise than by sliding {SHORTEST} characters over {megabytes:.0f} MB", len(ours ^ by_sliding), 0)  # fmt: skip
    yield Claim("seconds (theirs: a set of all windows)", seconds, sliding_s, sliding_s / seconds, "told", True)
    yield from recited(draw)


def noise(draw: random.Random, length: int) -> str:
    """Return letters at random: no passage stands in two places unless it is planted there."""
    return "".join(draw.choices(LETTERS, k=length))


def plant(draw: random.Random, documents: Sequence[object]) -> tuple[str, object, str]:
    """Return a sample, the document that it copies from, and the passage."""
    document, length = draw.choice(documents), draw.choice((SHORTEST, SHORTEST + 1, draw.randint(32, 400)))
    at = draw.choice((0, len(document.text) - length, draw.randrange(len(document.text) - length)))
    passage = document.text[at : at + length]
    return noise(draw, draw.randint(0, 60)) + passage + noise(draw, draw.randint(0, 60)), document, passage


def slide(samples: Sequence[str], texts: Sequence[str]) -> set[tuple[int, int]]:
    """Return every place of the samples whose next 30 characters stand in a text, by a set of all windows."""
    wanted = {sample[at : at + SHORTEST] for sample in samples for at in range(len(sample) - SHORTEST + 1)}
    seen = {w for text in texts for at in range(len(text) - SHORTEST + 1) if (w := text[at : at + SHORTEST]) in wanted}
    return {
        (n, at)
        for n, sample in enumerate(samples)
        for at in range(len(sample) - SHORTEST + 1)
        if sample[at : at + SHORTEST] in seen
    }


def recited(draw: random.Random) -> Iterator[Claim]:
    """Let a small model learn a few documents by heart, and hold what `dozero eval` tells against the files."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        told = {f"doc-{n}.txt": sentence_of(draw) for n in range(12)}
        (folder / "texts").mkdir()
        for file, text in told.items():
            (folder / "texts" / file).write_text(text, encoding="utf-8")
        (folder / "run.toml").write_text(WORKSPACE.format(source=json.dumps(str(folder / "texts"))), encoding="utf-8")
        run(folder, "run", "run.toml", "data.licence=CC-BY-4.0", "train.steps=250", "tokenizer.vocab_size=400",
            "model.d_model=64", "model.n_layers=2", "model.d_ff=128", "train.batch_tokens=2048", "optim.adam_lr=0.02")  # fmt: skip
        result = run(folder, "eval", ".", "--samples", "20", "--json")
        copies = next(e for e in result if e.get("task") == "samples")["details"]["copies"]
        items = folder / "runs" / "main" / "evaluations" / "samples" / "items.jsonl"
        samples = [json.loads(line)["text"] for line in items.read_text(encoding="utf-8").splitlines()]
    true = sum(
        copy["licence"] == "CC-BY-4.0" and copy["text"] in told[Path(copy["source"].partition("#")[0]).name]
        for copy in copies
    )
    by_sliding = slide(samples, list(told.values()))
    ours = {(c["sample"] - 1, at) for c in copies for at in range(c["at"], c["at"] + c["characters"] - SHORTEST + 1)}
    yield at_least("a model that recites: passages copied in 20 samples", len(copies), 1)
    yield at_least("of these in the document told, with its licence", true, len(copies))
    yield at_most("places told otherwise than by sliding over its files", len(ours ^ by_sliding), 0)


def sentence_of(draw: random.Random) -> str:
    """Return a document of made-up words."""
    words = ["".join(draw.choices(("ba", "de", "li", "mo", "nu", "ra", "çã", "ê"), k=3)) for _ in range(30)]
    return " ".join(words).capitalize() + "."


def run(folder: Path, *arguments: str) -> list[dict[str, object]]:
    """Run a dozero command and return the JSON lines it printed."""
    command = [sys.executable, "-m", "dozero", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
