"""Packages of others that only some commands need: imported when one does, or named with the line that installs them."""

from __future__ import annotations

import importlib
from types import ModuleType

from dozero.errors import MissingExtra

EXTRA_OF = {
    "gguf": "gguf",
    "xllamacpp": "llamacpp",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "transformers": "transformers",
    "accelerate": "transformers",
}


def need(package: str) -> ModuleType:
    """Return a package; MissingExtra with the install line when it is not there."""
    try:
        return importlib.import_module(package)
    except ImportError:
        raise MissingExtra(package, extra=EXTRA_OF[package]) from None
