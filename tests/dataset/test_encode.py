"""What encode.py promises: a part's documents by split on disk, once, whatever process does it."""

import os

import numpy as np
import pytest

from dozero.artifact import read_manifest
from dozero.corpus.document import Document
from dozero.corpus.store import Stored, write_rows
from dozero.dataset import encode
from dozero.dataset.encode import SPLITS, PartJob, encode_part, encode_parts
from dozero.dataset.split import is_heldout
from dozero.dataset.stream import lay_out
from dozero.errors import ArtifactError, DataError
from dozero.testing import WORDS
from dozero.tokenizer.tokenizer import train_char_tokenizer

TEXTS = [f"{a} {b}" for a in WORDS[:12] for b in WORDS[:10]]
TOKENIZER = train_char_tokenizer(TEXTS)


def write_part(file, texts, collection="a"):
    documents = (Document(text, "made up", "CC0-1.0", "pt", collection) for text in texts)
    write_rows(file, [Stored(d.id, d) for d in documents], dropped=False)
    return file


def job_of(folder, texts=TEXTS, name="part", **changes):
    part = write_part(folder / f"{name}.parquet", texts)
    return PartJob(part, {}, {"part": name, "tokenizer": "t"}, 20.0, folder / name, **changes)


def stored(folder):
    return {
        (split, kind): np.fromfile(folder / f"{split}.{kind}.bin", dtype)
        for split in SPLITS
        for kind, dtype in (("ids", np.uint16), ("lengths", np.int64))
    }


@pytest.mark.parametrize("at_once", [1, 100, 10**6])
def test_a_part_is_laid_out_by_split_however_much_is_taken_at_once(at_once, tmp_path, monkeypatch):
    monkeypatch.setattr(encode, "CHARACTERS_AT_ONCE", at_once)
    manifest = encode_part(job_of(tmp_path), TOKENIZER)
    assert manifest == read_manifest(tmp_path / "part")
    assert manifest.about == {"collection": "a"}
    files = stored(tmp_path / "part")
    for split in SPLITS:
        texts = [text for text in TEXTS if is_heldout(text, 20) == (split == "heldout")]
        ids, lengths = lay_out(texts, TOKENIZER)
        assert np.array_equal(files[split, "ids"], ids)
        assert np.array_equal(files[split, "lengths"], lengths)
        characters = sum(len(text) + 1 for text in texts)
        size = sum(len(text.encode()) for text in texts)
        told = {"documents": len(texts), "tokens": len(ids), "characters": characters, "bytes": size}
        assert manifest.counts[split] == told


def test_what_is_there_is_not_made_again(tmp_path):
    job = job_of(tmp_path)
    first = encode_part(job, TOKENIZER)
    job.part.unlink()
    assert encode_part(job, TOKENIZER) == first
    for changed in ({"part": "other", "tokenizer": "t"}, {"part": "part", "tokenizer": "u"}):
        with pytest.raises(ArtifactError, match="No such file"):
            encode_part(PartJob(job.part, {}, changed, 20.0, job.out), TOKENIZER)


def test_what_is_there_but_damaged_is_made_again(tmp_path):
    job = job_of(tmp_path)
    first = encode_part(job, TOKENIZER)
    whole = (job.out / "train.ids.bin").read_bytes()
    os.truncate(job.out / "train.ids.bin", 10)
    assert encode_part(job, TOKENIZER).fingerprint == first.fingerprint
    assert (job.out / "train.ids.bin").read_bytes() == whole


def test_several_processes_write_what_one_does(tmp_path):
    folders = {}
    for processes in (1, 2):
        (tmp_path / str(processes)).mkdir()
        jobs = [job_of(tmp_path / str(processes), TEXTS[at : at + 50], f"p{at}") for at in range(0, 120, 50)]
        manifests = list(encode_parts(jobs, TOKENIZER, processes))
        assert [m.inputs["part"] for m in manifests] == ["p0", "p50", "p100"]
        folders[processes] = [(m.fingerprint, m.counts) for m in manifests]
    assert folders[1] == folders[2]


@pytest.mark.parametrize("processes", [1, 2])
def test_a_fault_of_the_text_is_told_by_whatever_process_found_it(processes, tmp_path):
    jobs = [job_of(tmp_path, [text], f"p{i}") for i, text in enumerate(("bade", "casa Ω", "lide"))]
    with pytest.raises(DataError, match="never saw") as caught:
        list(encode_parts(jobs, TOKENIZER, processes))
    assert "Ω" in str(caught.value.got)
    assert "characters of its alphabet" in str(caught.value)


def test_a_part_that_mixes_collections_is_our_mistake(tmp_path):
    documents = [Document(text, "made up", "CC0-1.0", "pt", name) for text, name in (("bade", "a"), ("lide", "b"))]
    write_rows(tmp_path / "part.parquet", [Stored(d.id, d) for d in documents], dropped=False)
    with pytest.raises(AssertionError, match="holds one collection"):
        encode_part(PartJob(tmp_path / "part.parquet", {}, {}, 20.0, tmp_path / "part"), TOKENIZER)
