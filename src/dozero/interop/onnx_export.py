"""A folder with model.onnx and the model's own files beside it, as optimum and transformers.js lay it out."""

from __future__ import annotations

from pathlib import Path

from dozero.interop.onnx_graph import make_onnx
from dozero.interop.packages import need
from dozero.model.hf import write_model_files
from dozero.model.transformer import Transformer
from dozero.tokenizer.tokenizer import Tokenizer

FILE, DATA = "model.onnx", "model.onnx_data"
MOST_BYTES = 2**30  # a message of protobuf ends at 2 GiB: larger weights lie in a file of their own


def write_onnx(model: Transformer, tokenizer: Tokenizer, folder: Path, most_bytes: int = MOST_BYTES) -> None:
    """Write the model in fp32 with configuration and tokenizer; weights of more than `most_bytes` apart."""
    onnx = need("onnx")
    made = make_onnx(model)
    if sum(p.numel() for p in model.parameters()) * 4 > most_bytes:
        onnx.save_model(made, folder / FILE, save_as_external_data=True, location=DATA, size_threshold=1024)
    else:
        onnx.save_model(made, folder / FILE)
    write_model_files(model, tokenizer, folder, weights=False)
