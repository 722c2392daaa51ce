"""A model folder in the form that another program reads, in a folder that says what it was made from."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from dozero.artifact import Manifest, check_replaceable, read_manifest, write_artifact
from dozero.durable import sha256_of
from dozero.errors import ArtifactError, ConfigError
from dozero.interop import gguf_export
from dozero.interop.gguf_words import words_of
from dozero.interop.ollama import write_modelfile
from dozero.interop.onnx_export import FILE as ONNX_FILE
from dozero.interop.onnx_export import write_onnx
from dozero.model.hf import files_of, read_model, write_model_files
from dozero.model.transformer import Transformer
from dozero.settings import GenerateConfig
from dozero.tokenizer.tokenizer import Tokenizer

_DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
# Under each form the number formats it is written in; the first is taken where none is asked for.
TYPES = {
    "hf": ("f32", "f16", "bf16"),
    "gguf": ("f16", "f32", "bf16", "q8_0"),
    "onnx": ("f32",),
    "ollama": ("f16", "f32", "bf16", "q8_0"),
}


@dataclass(frozen=True)
class Job:
    """What is to be written: a model, its tokenizer, how to sample from it, and facts about it."""

    model: Transformer
    tokenizer: Tokenizer
    type: str
    name: str
    generate: GenerateConfig
    about: Mapping[str, Any]
    folder: Path
    """Where the model lies."""


@dataclass(frozen=True)
class Exported:
    """What was written."""

    to: str
    type: str
    name: str
    folder: Path
    file: Path
    """The one that a program opens: the folder itself for `hf`."""
    bytes: int


def pick_type(to: str, kind: str | None) -> str:
    """Return the number format asked for, or the usual one; ConfigError for a form or format there is not."""
    if to not in TYPES:
        raise ConfigError("no such form", where="--to", expected=f"one of {', '.join(TYPES)}", got=repr(to))
    if kind is not None and kind not in TYPES[to]:
        raise ConfigError(f"not a number format of {to}", where="--type", expected=f"one of {', '.join(TYPES[to])}", got=repr(kind))  # fmt: skip
    return kind or TYPES[to][0]


def export_model(folder: Path, to: str, kind: str, generate: GenerateConfig, out: Path | None = None) -> Exported:
    """Write the model of a model folder in another form, to `out` or beside the model's own files."""
    out = out or folder / "export" / f"{to}-{kind}"
    check_replaceable(out, "export")
    model, tokenizer = read_model(folder)
    if to in ("gguf", "ollama"):
        words_of(tokenizer)  # a tokenizer that llama.cpp cannot be told of is refused before anything is written
    about = _facts_of(folder)
    job = Job(model, tokenizer, kind, name_of(folder), generate, about, folder)
    inputs = {file.name: sha256_of(file) for file in files_of(folder / "model.safetensors")}
    manifest = Manifest(kind="export", inputs=inputs, config={"to": to, "type": kind}, about=dict(about))
    with write_artifact(out, manifest) as inside:
        opened = _WRITERS[to](job, inside)
    size = sum(entry["bytes"] for entry in manifest.files.values())
    return Exported(to, kind, job.name, out, out / opened if opened else out, size)


def name_of(folder: Path) -> str:
    """Return what to call a model: its workspace, with its run unless that is `main`, or its folder."""
    place = folder.resolve()
    run = place.parent if place.name == "model" else place
    if run.parent.name == "runs":
        return run.parent.parent.name + ("" if run.name == "main" else f"-{run.name}")
    return place.name


def _facts_of(folder: Path) -> Mapping[str, Any]:
    try:
        return read_manifest(folder).about
    except ArtifactError:  # a folder that another program wrote
        return {}


def _write_hf(job: Job, inside: Path) -> str:
    write_model_files(job.model.to(_DTYPES[job.type]), job.tokenizer, inside)
    card = job.folder / "README.md"
    if card.is_file():
        shutil.copyfile(card, inside / "README.md")
    return ""


def _write_gguf(job: Job, inside: Path) -> str:
    name = f"{job.name}-{job.type}.gguf"
    gguf_export.write_gguf(job.model, job.tokenizer, inside / name, job.type, {**job.about, "name": job.name})
    return name


def _write_onnx(job: Job, inside: Path) -> str:
    write_onnx(job.model, job.tokenizer, inside)
    return ONNX_FILE


def _write_ollama(job: Job, inside: Path) -> str:
    name = _write_gguf(job, inside)
    text = write_modelfile(name, job.tokenizer, job.generate, job.model.config.max_seq_len)
    (inside / "Modelfile").write_text(text, encoding="utf-8", newline="\n")
    return "Modelfile"


_WRITERS: dict[str, Callable[[Job, Path], str]] = {
    "hf": _write_hf,
    "gguf": _write_gguf,
    "onnx": _write_onnx,
    "ollama": _write_ollama,
}
