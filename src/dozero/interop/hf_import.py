"""A Hugging Face folder of the families we know as shape, weights and tokenizer. No code of it runs, no pickle is opened."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from dozero.errors import ModelMismatch
from dozero.interop.shapes import read_shape
from dozero.interop.source import Source
from dozero.model.hf import INDEX, files_of, read_weights
from dozero.tokenizer.files import of_parts, read_tokenizer_json
from dozero.tokenizer.imported import SETTINGS, read_parts
from dozero.tokenizer.tokenizer import Tokenizer

WEIGHTS = "model.safetensors"
_PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt")
_FLOATS = (torch.float32, torch.float16, torch.bfloat16)


def read_folder_source(folder: Path) -> Source:
    """Return what a folder holds; ModelMismatch says what of it is missing or not known here."""
    config, vocab_size = read_shape(folder / "config.json")
    _find_weights(folder)
    tokenizer = _read_tokenizer(folder, vocab_size)
    tensors = {n: t for n, t in read_weights(folder / WEIGHTS).items() if not n.endswith(".rotary_emb.inv_freq")}
    if config.tie_embeddings:
        tensors.pop("lm_head.weight", None)  # older folders hold the embedding twice
    dtypes = {t.dtype for t in tensors.values()}
    if odd := next((d for d in dtypes if d not in _FLOATS), None):
        raise ModelMismatch("weights in a format that dozero does not open", where=folder, got=odd)
    dtype = dtypes.pop() if len(dtypes) == 1 else torch.float32
    stored = str(dtype).removeprefix("torch.")
    about = {"source": folder.resolve().name, "licence": _read_licence(folder), "stored as": stored}
    read = (folder / "config.json", folder / "tokenizer.json", folder / SETTINGS, *files_of(folder / WEIGHTS))
    return Source(folder, tuple(f for f in read if f.is_file()), config, tensors, tokenizer, dtype, about)


def _find_weights(folder: Path) -> None:
    """Raise ModelMismatch unless there are safetensors."""
    if (folder / WEIGHTS).is_file() or (folder / INDEX).is_file():
        return
    if pickled := sorted(f.name for pattern in _PICKLED for f in folder.glob(pattern)):
        raise ModelMismatch(
            "its weights are a pickle, which can run any code when opened; dozero never opens one", where=folder,
            expected=WEIGHTS, got=pickled[0],
        )  # fmt: skip
    raise ModelMismatch("holds no weights", where=folder, expected=f"{WEIGHTS} or {INDEX}")


def _read_tokenizer(folder: Path, vocab_size: int) -> Tokenizer:
    """Return the tokenizer, as ours if we made it."""
    try:
        ours = read_tokenizer_json(folder / "tokenizer.json")
    except ModelMismatch:
        return of_parts(read_parts(folder, vocab_size))
    if ours.vocab_size != vocab_size:
        raise ModelMismatch(
            "tokenizer and model disagree", where=folder, expected=f"{vocab_size} tokens", got=ours.vocab_size
        )
    return ours


def _read_licence(folder: Path) -> str:
    """Return the licence that the head of a model card names."""
    try:
        head = (folder / "README.md").read_text(encoding="utf-8", errors="replace")[:10_000]
    except OSError:
        return "unknown"
    front = re.match(r"---\s*\n(.*?)\n---", head, re.DOTALL)
    found = re.search(r"^license(?:_name)?:[ \t]*([^\s#]+)", front[1], re.MULTILINE) if front else None
    return found[1].strip("'\"") if found else "unknown"
