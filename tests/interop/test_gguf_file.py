"""A GGUF is read as the package gguf reads it, and one cut short, altered or made up is told, not believed."""

import struct
from contextlib import suppress

import gguf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dozero.errors import ModelMismatch
from dozero.interop.gguf_export import write_gguf
from dozero.interop.gguf_file import TYPES, open_gguf


@pytest.fixture(scope="module")
def file(ours, tmp_path_factory):
    mine, file = ours(), tmp_path_factory.mktemp("gguf") / "model.gguf"
    write_gguf(mine.model, mine.tokenizer, file, "q8_0", {"name": "m", "licence": "mit", "language": "pt"})
    return file


def test_keys_and_tensors_are_those_of_the_packages_reader(file):
    theirs, ours = gguf.GGUFReader(file), open_gguf(file)
    fields = {name: field for name, field in theirs.fields.items() if not name.startswith("GGUF.")}
    assert set(ours.metadata) == set(fields)
    for name, field in fields.items():
        assert ours.metadata[name] == field.contents()
    assert [(t.name, t.type, t.shape, t.start) for t in ours.tensors] == [
        (t.name, t.tensor_type.name, tuple(int(n) for n in t.shape[::-1]), t.data_offset) for t in theirs.tensors
    ]
    for mine, other in zip(ours.tensors, theirs.tensors, strict=True):
        values = gguf.quants.dequantize(other.data, other.tensor_type)
        assert np.array_equal(ours.values(mine).ravel(), values.ravel())


@pytest.mark.parametrize("kind", ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"])
def test_every_type_that_the_package_can_write_is_read_near_to_what_was_written(kind, tmp_path):
    values = np.random.default_rng(0).normal(size=(4, 256)).astype(np.float32)
    writer, quantity = gguf.GGUFWriter(tmp_path / "t.gguf", "llama"), gguf.GGMLQuantizationType[kind]
    writer.add_tensor("t", gguf.quants.quantize(values, quantity), raw_dtype=quantity)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    (tensor,) = open_gguf(tmp_path / "t.gguf").tensors
    assert tensor.type == kind
    assert tensor.shape == (4, 256)
    far = np.abs(open_gguf(tmp_path / "t.gguf").values(tensor) - values).max()
    assert far <= {"F32": 0, "F16": 2e-3, "BF16": 2e-2, "Q8_0": 2e-2}.get(kind, 0.4)


def test_every_type_we_name_is_one_the_package_can_work_out_again():
    for kind in TYPES:
        values, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]]
        out = gguf.quants.dequantize(np.zeros((1, size), dtype=np.uint8), gguf.GGMLQuantizationType[kind])
        assert out.shape == (1, values)


@given(st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_a_file_cut_anywhere_is_told(file, tmp_path_factory, share):
    whole = file.read_bytes()
    cut = tmp_path_factory.mktemp("cut") / "cut.gguf"
    end = max(t.start + t.size for t in open_gguf(file).tensors)  # after which there are only zeros
    cut.write_bytes(whole[: int(share * (end - 1))])
    with pytest.raises(ModelMismatch, match=r"cut\.gguf: not a GGUF file that can be read"):
        open_gguf(cut)


@given(st.integers(0, 2000), st.binary(min_size=1, max_size=8))
@settings(max_examples=150, deadline=None)
def test_a_file_altered_anywhere_in_its_head_opens_or_is_told(file, tmp_path_factory, at, noise):
    whole = bytearray(file.read_bytes())
    whole[at : at + len(noise)] = noise
    altered = tmp_path_factory.mktemp("altered") / "altered.gguf"
    altered.write_bytes(whole)
    with suppress(ModelMismatch):
        for tensor in open_gguf(altered).tensors:
            assert tensor.start + tensor.size <= len(whole)


def header(keys=0, tensors=0, version=3, rest=b""):
    return b"GGUF" + struct.pack("<IQQ", version, tensors, keys) + rest


def text(word):
    return struct.pack("<Q", len(word)) + word


def a_tensor(name=b"t", axes=(32,), kind=0, offset=0):
    return text(name) + struct.pack(f"<I{len(axes)}QIQ", len(axes), *axes, kind, offset)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "does not begin with GGUF"),
        (b"PK\x03\x04" * 9, "does not begin with GGUF"),
        (header(version=1), "version 1; 2 and 3 are known"),
        (header(keys=2**63), "more are declared"),
        (header(tensors=2**63), "more are declared"),
        (header(keys=1, rest=struct.pack("<Q", 2**62)), "more are declared"),
        (header(keys=1, rest=text(b"k") + struct.pack("<I", 99)), "a value of unknown kind 99"),
        (header(keys=1, rest=text(b"k") + struct.pack("<IIQ", 9, 4, 2**61)), "cannot|declared|overflow|larger|memory"),
        (header(keys=1, rest=text(b"k") + struct.pack("<IIQ", 9, 8, 2**61)), "a list of"),
        (header(keys=1, rest=text(b"k") + struct.pack("<IIQ", 9, 9, 1)), "a list of 1 values of kind 9"),
        (header(keys=1, rest=text(b"\xff") + struct.pack("<IB", 0, 1)), "can't decode"),
        (header(keys=2, rest=(text(b"k") + struct.pack("<IB", 0, 1)) * 2), "k is there twice"),
        (header(keys=1, rest=text(b"general.alignment") + struct.pack("<II", 4, 0)), "general.alignment is 0"),
        (header(tensors=1, rest=a_tensor(axes=())), "t has 0 axes"),
        (header(tensors=1, rest=a_tensor(axes=(1,) * 5)), "t has 5 axes"),
        (header(tensors=1, rest=a_tensor(kind=77) + b"\0" * 256), "of a type not known here, number 77"),
        (header(tensors=1, rest=a_tensor(axes=(0,)) + b"\0" * 256), "its shape"),
        (header(tensors=1, rest=a_tensor(axes=(33,), kind=8) + b"\0" * 256), "its shape"),
        (header(tensors=1, rest=a_tensor(axes=(2**40, 2**40))), "ends at byte"),
        (header(tensors=1, rest=a_tensor(offset=2**60) + b"\0" * 256), "ends at byte"),
        (header(tensors=2, rest=a_tensor() * 2 + b"\0" * 256), "t is there twice"),
    ],
)
def test_what_is_declared_is_not_believed(content, told, tmp_path):
    (tmp_path / "bad.gguf").write_bytes(content)
    with pytest.raises(ModelMismatch, match=told):
        open_gguf(tmp_path / "bad.gguf")


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ModelMismatch, match="not a GGUF file that can be read"):
        open_gguf(tmp_path / "none.gguf")
