"""Test doubles: words, settings and data so small that a whole run takes about a second."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from dozero.artifact import Manifest, write_artifact
from dozero.config import load_config, to_toml
from dozero.corpus.store import WORDS as WORD_FILE
from dozero.corpus.store import Corpus
from dozero.dataset.shards import Dataset, build_dataset, open_dataset
from dozero.dataset.stream import Collection, TokenStream
from dozero.generate.language_model import LanguageModel
from dozero.model.transformer import Transformer
from dozero.settings import ModelConfig, RunConfig
from dozero.tokenizer.tokenizer import Tokenizer, train_char_tokenizer

_SYLLABLES = ("ba", "de", "li", "mo", "nu", "ra")
WORDS = tuple("".join(parts) for parts in itertools.product(_SYLLABLES, _SYLLABLES, ("", "s", "ra")))
"""108 made-up words of 4 to 6 letters over 12 letters (13 tokens)."""

TINY = (
    *("model.d_model=16", "model.n_layers=1", "model.n_heads=2", "model.n_kv_heads=1", "model.head_dim=8"),
    *("model.d_ff=32", "model.max_seq_len=16", "train.steps=12", "train.batch_tokens=64"),
    *("train.device=cpu", "train.dtype=float32", "train.threads=1"),
    *("train.log_every=1", "train.eval_every=4", "train.sample_every=4", "train.save_every=4"),
    *("data.heldout_percent=20", "eval.heldout_docs=10", "generate.max_tokens=8"),
)
"""Settings of a run of 12 steps on 4 rows of 16 tokens each, saved after steps 4, 8 and 12."""


def tiny_config(*overrides: str) -> RunConfig:
    """Return the settings of a tiny run, with `section.key=value` overrides on top.

    >>> tiny_config("train.steps=3", "seed=7").train.steps
    3
    """
    return load_config(overrides=(*TINY, *overrides))


def tiny_corpus(folder: Path, words: Sequence[str] = WORDS) -> Corpus:
    """Write a corpus of words to `folder`, without curating them, and return it."""
    about = {"source": "made up", "licence": "CC0-1.0", "language": "en"}
    manifest = Manifest(kind="corpus", counts={"kept": len(words), "dropped": 0}, about=about)
    with write_artifact(folder, manifest) as inside:
        (inside / WORD_FILE).write_text("".join(f"{word}\n" for word in words), encoding="utf-8")
    return Corpus(folder, manifest)


def tiny_dataset(
    folder: Path, words: Sequence[str] = WORDS, heldout_percent: float = 20.0
) -> tuple[Dataset, Tokenizer]:
    """Write the dataset of the words to `folder` and return it as training opens it, with its tokenizer."""
    tokenizer = train_char_tokenizer(words)
    corpus = tiny_corpus(folder.with_name(f"{folder.name}-corpus"), words)
    build_dataset(corpus, tokenizer, heldout_percent, inputs={}, out=folder)
    return open_dataset(folder), tokenizer


def tiny_workspace(folder: Path, *overrides: str, words: Sequence[str] = WORDS) -> Path:
    """Write words.txt and the run.toml of a tiny run to `folder` and return the run.toml: what the command line takes."""
    folder.mkdir(parents=True, exist_ok=True)
    word_file = folder / "words.txt"
    word_file.write_text("\n".join(words) + "\n", encoding="utf-8")
    config = tiny_config(*overrides)
    config = config.model_copy(update={"data": config.data.model_copy(update={"source": str(word_file)})})
    (folder / "run.toml").write_text(to_toml(config), encoding="utf-8")
    return folder / "run.toml"


def numbered_stream(collections: Sequence[tuple[str, float, Sequence[int]]], per_shard: int = 10**9) -> TokenStream:
    """Return documents of given lengths, in collections of a name and a weight, that hold 0, 1, 2, ... instead of tokens.

    >>> numbered_stream([("a", 1.0, [2, 3])]).starts.tolist()
    [0, 2]
    """
    bounds = np.cumsum([0, *(length for _, _, lengths in collections for length in lengths)])
    ids = np.arange(bounds[-1] + 1, dtype=np.uint32)
    shards = tuple(ids[at : at + per_shard] for at in range(0, len(ids), per_shard))
    told = (Collection(name, len(x), sum(x), sum(x), sum(x), weight) for name, weight, x in collections)
    return TokenStream(shards, bounds[:-1].astype(np.int64), tuple(told))


def random_language_model(texts: Sequence[str], context: int = 24, seed: int = 0) -> LanguageModel:
    """Return a model with random weights that knows the characters of the texts, and writes gibberish of them."""
    tokenizer = train_char_tokenizer(texts)
    config = ModelConfig(d_model=16, n_layers=2, n_heads=4, n_kv_heads=2, head_dim=4, d_ff=16, max_seq_len=context)
    model, noise = Transformer(config, tokenizer.vocab_size), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, generator=noise) * (p.shape[1] ** -0.5 if p.ndim == 2 else 1))
    return LanguageModel(model.eval(), tokenizer)


def torchrun_command(processes: int, *program: str) -> list[str]:
    """Return the command that starts a program (a script, or -m and a module) in several processes of this machine."""
    launcher = (sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}")
    return [*launcher, *program]


def workers_of(launcher: int) -> list[int]:
    """Return the processes that the process `launcher` started and that still run, the eldest first (not on Windows)."""
    told = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(launcher)], capture_output=True, encoding="utf-8", check=False
    )
    return sorted(int(pid) for pid in told.stdout.split())


@contextmanager
def limit_file_size(limit_bytes: int) -> Iterator[None]:
    """Until leaving, no file of this process grows past the limit: a full disk, without filling one (not on Windows)."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
