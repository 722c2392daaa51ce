"""Claim: three real Portuguese sources of three formats go from raw files to token shards in one command."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from claims.claim import Claim, at_least
from peers.debian_text import FOCALINUX, HANDBOOK, HELP, debian_root

SETTINGS = """\
extends = "text"
[data]
lang = "pt"
[[data.sources]]
name = "help"
path = "{help}"
licence = "MPL-2.0"
[[data.sources]]
name = "handbook"
path = "{handbook}"
licence = "CC-BY-SA-3.0"
weight = 2
[[data.sources]]
name = "focalinux"
path = "{focalinux}"
licence = "GFDL-1.1-or-later"
[curate]
languages = ["pt"]
"""


def one_command(quick: bool) -> Iterator[Claim]:  # noqa: ARG001 - a smoke run is as quick as the whole
    """Run `dozero run --to dataset` on the three packages and look at what came out."""
    from dozero.corpus.store import open_corpus
    from dozero.dataset.shards import open_dataset

    root = debian_root()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = {key: root / part for key, part in (("help", HELP), ("handbook", HANDBOOK), ("focalinux", FOCALINUX))}
        (folder / "run.toml").write_text(SETTINGS.format(**paths), encoding="utf-8")
        began = time.perf_counter()
        command = [sys.executable, "-m", "dozero", "run", "run.toml", "--to", "dataset"]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - began
        corpus, dataset = open_corpus(folder / "work" / "corpus"), open_dataset(folder / "work" / "dataset")
        kept = sum(1 for _ in corpus.documents())
        languages = [document.lang for document in corpus.documents()]
        text_mb = (dataset.train.bytes + dataset.heldout.bytes) / 1e6
    yield Claim("one command: seconds from raw files to shards", seconds, 0.0, 0.0, "told", True)
    yield at_least("one command: documents kept", kept, 500)
    yield at_least("one command: MB of text in the shards", text_mb, 3)
    yield at_least("one command: share of documents in Portuguese", languages.count("pt") / len(languages), 1.0)
