"""dozero ("do zero", from zero): from raw text to a language model of your own, on the laptop you have.

    from dozero import LanguageModel
    model = LanguageModel.open("dozero-words-pt/runs/main/model")
    print(model.generate("des"))

The names below are the public API. They are imported when first used: `import dozero` alone loads nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

_HOME = {
    "dozero.config": ("load_config",),
    "dozero.corpus.document": ("Document",),
    "dozero.dataset.batch": ("Batch", "batch_of_step"),
    "dozero.dataset.rows": ("Rows", "pack_rows"),
    "dozero.dataset.shards": ("Dataset", "open_dataset"),
    "dozero.device": ("Device", "pick_device", "apply_device"),
    "dozero.errors": ("DozeroError",),
    "dozero.eval.likelihood": ("measure_surprise",),
    "dozero.generate.language_model": ("LanguageModel",),
    "dozero.model.cost": ("model_cost",),
    "dozero.model.transformer": ("Transformer",),
    "dozero.pipeline.stages": ("Workspace", "prepared", "run_stages"),
    "dozero.settings": ("GenerateConfig", "ModelConfig", "RunConfig"),
    "dozero.tokenizer.tokenizer": ("Tokenizer",),
    "dozero.train.loop": ("train",),
    "dozero.train.step": ("train_step",),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "Batch",
    "Dataset",
    "Device",
    "Document",
    "DozeroError",
    "GenerateConfig",
    "LanguageModel",
    "ModelConfig",
    "Rows",
    "RunConfig",
    "Tokenizer",
    "Transformer",
    "Workspace",
    "__version__",
    "apply_device",
    "batch_of_step",
    "load_config",
    "measure_surprise",
    "model_cost",
    "open_dataset",
    "pack_rows",
    "pick_device",
    "prepared",
    "run_stages",
    "train",
    "train_step",
]

if TYPE_CHECKING:
    from dozero.config import load_config
    from dozero.corpus.document import Document
    from dozero.dataset.batch import Batch, batch_of_step
    from dozero.dataset.rows import Rows, pack_rows
    from dozero.dataset.shards import Dataset, open_dataset
    from dozero.device import Device, apply_device, pick_device
    from dozero.errors import DozeroError
    from dozero.eval.likelihood import measure_surprise
    from dozero.generate.language_model import LanguageModel
    from dozero.model.cost import model_cost
    from dozero.model.transformer import Transformer
    from dozero.pipeline.stages import Workspace, prepared, run_stages
    from dozero.settings import GenerateConfig, ModelConfig, RunConfig
    from dozero.tokenizer.tokenizer import Tokenizer
    from dozero.train.loop import train
    from dozero.train.step import train_step


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'dozero' has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
