"""Reading a GGUF file without trusting it: nothing is taken from past its end, whatever it declares.

The layout is that of ggml's docs/gguf.md: magic, version, counts; keys with values; names, shapes, types and offsets
of the tensors; then, aligned, their bytes. The package `gguf` has a reader too, but a file cut short or altered makes
that one loop or read on; only its arithmetic (dequantize) is used.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dozero.errors import ModelMismatch
from dozero.interop.packages import need

MAGIC = b"GGUF"
VERSIONS = (2, 3)
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_MOST_AXES = 4
# Types whose values `gguf` knows how to work out again; of each the block's values and bytes come from there.
TYPES = ("F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K")


@dataclass(frozen=True)
class GgufTensor:
    """Where a tensor lies in the file; its shape as numpy has it, the last axis last."""

    name: str
    type: str
    shape: tuple[int, ...]
    start: int
    size: int


@dataclass(frozen=True)
class Gguf:
    """What a GGUF file declares."""

    file: Path
    metadata: dict[str, Any]
    tensors: tuple[GgufTensor, ...]

    def values(self, tensor: GgufTensor) -> NDArray[np.float32]:
        """Return the values of a tensor in fp32."""
        gguf = need("gguf")
        data = np.memmap(self.file, mode="r", offset=tensor.start, shape=(tensor.size,), dtype=np.uint8)
        rows = data.reshape(*tensor.shape[:-1], -1)
        values = gguf.quants.dequantize(rows, gguf.GGMLQuantizationType[tensor.type])
        return np.array(values, dtype=np.float32).reshape(tensor.shape)  # a copy: the file may change


class _Cursor:
    """Takes values off the front of the file's bytes; ValueError past the end."""

    def __init__(self, data: memoryview) -> None:
        self.data, self.at = data, 0

    def take(self, size: int) -> memoryview:
        """Return the next bytes."""
        if size > len(self.data) - self.at:
            raise ValueError(f"ends at byte {len(self.data)}, {size} more are declared at {self.at}")
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, form: str) -> Any:
        """Return the next number."""
        return struct.unpack(f"<{form}", self.take(struct.calcsize(f"<{form}")))[0]

    def text(self) -> str:
        """Return the next string."""
        return str(self.take(self.number("Q")), "utf-8")

    def value(self, kind: int) -> Any:
        """Return the next value of a kind: a number, a string or a list of one of these."""
        if kind in _SCALARS:
            return self.number(_SCALARS[kind])
        if kind == _STRING:
            return self.text()
        if kind != _ARRAY:
            raise ValueError(f"a value of unknown kind {kind}")
        inner, count = self.number("I"), self.number("Q")
        if inner in _SCALARS:
            form = _SCALARS[inner]
            return list(struct.unpack(f"<{count}{form}", self.take(count * struct.calcsize(f"<{form}"))))
        if inner != _STRING or count > len(self.data) // 8:  # a string takes eight bytes or more
            raise ValueError(f"a list of {count} values of kind {inner}")
        return [self.text() for _ in range(count)]


def open_gguf(file: Path) -> Gguf:
    """Return what a GGUF file declares, all of which is there; ModelMismatch says what is wrong with it."""
    try:
        with file.open("rb") as opened:
            if opened.read(4) != MAGIC:
                raise ValueError("does not begin with GGUF")
        data = memoryview(np.memmap(file, mode="r", dtype=np.uint8))  # pyright: ignore[reportArgumentType] - an array has a buffer
        cursor = _Cursor(data[4:])
        metadata, tensors = _read_header(cursor)
        start = 4 + cursor.at
        alignment = metadata.get("general.alignment", 32)
        if not isinstance(alignment, int) or alignment <= 0:
            raise ValueError(f"general.alignment is {alignment!r}")
        start += -start % alignment
        return Gguf(file, metadata, tuple(_placed(tensors, start, len(data))))
    except (OSError, ValueError, struct.error, OverflowError, MemoryError) as error:
        raise ModelMismatch(f"not a GGUF file that can be read ({error})", where=file) from None


def _read_header(cursor: _Cursor) -> tuple[dict[str, Any], list[tuple[str, tuple[int, ...], int, int]]]:
    version, count, keys = cursor.number("I"), cursor.number("Q"), cursor.number("Q")
    if version not in VERSIONS:
        raise ValueError(f"version {version}; 2 and 3 are known")
    metadata: dict[str, Any] = {}
    for _ in range(keys):
        key = cursor.text()
        if key in metadata:
            raise ValueError(f"{key} is there twice")
        metadata[key] = cursor.value(cursor.number("I"))
    tensors = []
    for _ in range(count):
        name, axes = cursor.text(), cursor.number("I")
        if not 0 < axes <= _MOST_AXES:
            raise ValueError(f"{name} has {axes} axes")
        shape = tuple(cursor.number("Q") for _ in range(axes))[::-1]
        tensors.append((name, shape, cursor.number("I"), cursor.number("Q")))
    return metadata, tensors


def _placed(tensors: list[tuple[str, tuple[int, ...], int, int]], start: int, end: int) -> Iterator[GgufTensor]:
    """Yield the tensors; ValueError for one that is not whole, of a type not known, or there twice."""
    gguf = need("gguf")
    known = {int(gguf.GGMLQuantizationType[name]): name for name in TYPES}
    names: set[str] = set()
    for name, shape, kind, offset in tensors:
        if kind not in known:
            raise ValueError(f"{name} is of a type not known here, number {kind}")
        values, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[known[kind]]]
        if name in names or shape[-1] % values or min(shape) < 1:
            raise ValueError(f"{name} is there twice, or its shape {shape} is none of {known[kind]}")
        names.add(name)
        size = math.prod(shape) // values * size
        if start + offset + size > end:
            raise ValueError(f"ends at byte {end}, inside or before {name}")
        yield GgufTensor(name, known[kind], shape, start + offset, size)
