"""The tokenizer stage: a corpus in, a tokenizer folder out."""

from __future__ import annotations

from pathlib import Path

from dozero.artifact import Manifest
from dozero.settings import TokenizerConfig
from dozero.corpus.store import Corpus
from dozero.tokenizer.tokenizer import Tokenizer, save_tokenizer, train_char_tokenizer


def build_tokenizer(corpus: Corpus, config: TokenizerConfig, out: Path) -> Tokenizer:
    """Train the tokenizer that `config.kind` names on the corpus and write it to `out`."""
    tokenizer = train_char_tokenizer(corpus.texts())
    manifest = Manifest(
        kind="tokenizer",
        inputs={"corpus": corpus.manifest.fingerprint},
        config=config.model_dump(),
        counts={"vocab_size": tokenizer.vocab_size, "characters": len(tokenizer.alphabet)},
        about={"licence": corpus.manifest.about["licence"]},
    )
    save_tokenizer(tokenizer, out, manifest)
    return tokenizer
