"""A model of others becomes a model folder of ours: checked whole in memory, then written whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from dozero.artifact import Manifest, check_replaceable, write_artifact
from dozero.durable import sha256_of
from dozero.errors import ModelMismatch
from dozero.interop.extend import add_tokens
from dozero.interop.gguf_import import read_gguf_source
from dozero.interop.hf_import import read_folder_source
from dozero.interop.source import Source
from dozero.model.hf import copy_weights, write_model_files
from dozero.model.transformer import Transformer

_CARD = """\
---
license: {licence}
library_name: transformers
tags: [dozero]
---

# {source}, imported into dozero

* Made by others: {source}, licence {licence}. Whoever passes this model on should keep to that licence.
* {architecture}, {parameters:,} parameters, {vocab_size:,} tokens{added}.
* Weights were stored as {stored}.
"""


@dataclass(frozen=True)
class Imported:
    """What was written, and from what."""

    out: Path
    architecture: str
    parameters: int
    vocab_size: int
    added: int
    stored: str
    """Number format of the source."""
    licence: str


def read_source(path: Path) -> Source:
    """Return the model that a path means: a Hugging Face folder, a GGUF file, or a folder with just one."""
    if path.is_dir() and not (path / "config.json").exists():
        found = sorted(path.glob("*.gguf"))
        if len(found) == 1:
            return read_gguf_source(found[0])
        if found:
            raise ModelMismatch("holds several GGUF files", where=path, expected="the name of one", got=found[0].name)
    if path.is_dir():
        return read_folder_source(path)
    if not path.exists():
        raise ModelMismatch("no such file or folder", where=path, expected="a Hugging Face folder or a GGUF file")
    return read_gguf_source(path)


def build_model(source: Source) -> Transformer:
    """Return the model of a source, in the number format it came in; ModelMismatch when weights and shape disagree."""
    vocab_size, where = source.tokenizer.vocab_size, source.path
    if source.config.n_layers > len(source.tensors):  # before anything of the size declared is made
        raise ModelMismatch(
            "weights of another model", where=where, expected=f"{source.config.n_layers} layers",
            got=f"{len(source.tensors)} tensors",
        )  # fmt: skip
    with torch.device("meta"):
        copy_weights(source.tensors, Transformer(source.config, vocab_size), where)
    model = Transformer(source.config, vocab_size).to(source.dtype)
    copy_weights(source.tensors, model, where)
    return model.eval()


def import_model(path: Path, out: Path, specials: Sequence[str] = (), words: Sequence[str] = ()) -> Imported:
    """Write the model of a folder or GGUF file to `out`, with more special tokens or words if given; return the facts."""
    check_replaceable(out, "model")
    source = read_source(path)
    model = build_model(source)
    tokenizer = source.tokenizer
    if tokenizer.imported is not None:
        tokenizer.encode("")  # here the library opens it, or says what is wrong with it
    if specials or words:
        model, tokenizer = add_tokens(model, tokenizer, specials, words, path)
    added = len(specials) + len(words)
    facts = Imported(
        out, model.config.architecture, sum(p.numel() for p in model.parameters()), model.vocab_size, added,
        source.about["stored as"], source.about["licence"],
    )  # fmt: skip
    manifest = Manifest(
        kind="model",
        inputs={file.name: sha256_of(file) for file in source.files},
        counts={"vocab_size": model.vocab_size, "added_tokens": added},
        about=source.about,
    )
    card = _CARD.format(
        source=source.about["source"], licence=facts.licence, architecture=facts.architecture, stored=facts.stored,
        parameters=facts.parameters, vocab_size=facts.vocab_size, added=f", {added} of them added" if added else "",
    )  # fmt: skip
    with write_artifact(out, manifest) as folder:
        write_model_files(model, tokenizer, folder)
        (folder / "README.md").write_text(card, encoding="utf-8")
    return facts
