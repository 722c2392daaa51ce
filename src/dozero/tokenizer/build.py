"""The tokenizer stage: a corpus in, a tokenizer folder out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from dozero.artifact import Manifest
from dozero.corpus.store import Corpus
from dozero.settings import TokenizerConfig
from dozero.tokenizer.files import save_tokenizer
from dozero.tokenizer.tokenizer import Tokenizer, train_bpe_tokenizer, train_char_tokenizer

# The pairs of a language are counted well enough in this much of it: about 5 seconds of one core.
SAMPLE_BYTES = 16_000_000


@dataclass(frozen=True)
class Sample:
    """Every n-th document of a corpus."""

    corpus: Corpus
    corpus_bytes: int
    every: int

    def texts(self) -> Iterator[str]:
        """Yield the texts of the sample, read anew."""
        return islice(self.corpus.texts(), 0, None, self.every)


def take_sample(corpus: Corpus, sample_bytes: int) -> Sample:
    """Return about `sample_bytes` of a corpus, evenly over its documents; all of it when it is no larger."""
    corpus_bytes = sum(len(text.encode()) for text in corpus.texts())
    return Sample(corpus, corpus_bytes, max(1, -(-corpus_bytes // sample_bytes)))


def build_tokenizer(corpus: Corpus, config: TokenizerConfig, out: Path, sample_bytes: int = SAMPLE_BYTES) -> Tokenizer:
    """Train the tokenizer that `config.kind` names on the corpus and write it to `out`.

    A `bpe` learns from about `sample_bytes` of a larger corpus, as the manifest tells.
    """
    if config.kind == "char":
        tokenizer = train_char_tokenizer(corpus.texts())
        counts = {"vocab_size": tokenizer.vocab_size, "characters": len(tokenizer.alphabet)}
    else:
        sample = take_sample(corpus, sample_bytes)
        tokenizer = train_bpe_tokenizer(sample.texts(), config.vocab_size)
        counts = {"vocab_size": tokenizer.vocab_size, "corpus_bytes": sample.corpus_bytes}
        counts["learned_from_every_nth_document"] = sample.every
    manifest = Manifest(
        kind="tokenizer",
        inputs={"corpus": corpus.manifest.fingerprint},
        config=config.model_dump(),
        counts=counts,
        about={"licence": corpus.manifest.about["licence"]},
    )
    save_tokenizer(tokenizer, out, manifest)
    return tokenizer
