"""What shards.py promises: every document comes back from the shards, whatever the size of these, the number of
processes and the kills on the way; and damage to a shard is found on opening.
"""

import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dozero.artifact import Manifest, write_artifact
from dozero.corpus.document import Document
from dozero.corpus.store import Corpus, Stored, write_rows
from dozero.dataset.shards import build_dataset, dataset_settings, open_dataset, pack_corpus
from dozero.dataset.split import is_heldout
from dozero.durable import write_json
from dozero.errors import ArtifactError, DataError
from dozero.testing import WORDS, tiny_corpus, tiny_dataset
from dozero.tokenizer.files import save_tokenizer
from dozero.tokenizer.tokenizer import END_ID, train_bpe_tokenizer, train_char_tokenizer

SOURCE = Path(__file__).resolve().parent.parent.parent / "src"
FILES = ("train-00000.bin", "train.starts.bin", "heldout-00000.bin", "heldout.starts.bin", "index.json")
INPUTS = {"corpus": "c", "tokenizer": "t"}


def text_corpus(folder, parts):
    """Write a corpus of (collection, texts) parts and return it."""
    manifest = Manifest(kind="corpus", about={"source": "made up", "licence": "CC0-1.0", "language": "pt"})
    with write_artifact(folder, manifest) as inside:
        for i, (collection, texts) in enumerate(parts):
            documents = [Document(text, "made up", "CC0-1.0", "pt", collection) for text in texts]
            write_rows(inside / f"documents-{i:05}.parquet", [Stored(d.id, d) for d in documents], dropped=False)
    return Corpus(folder, manifest)


def pack(corpus, tokenizer, out, **options):
    for _ in pack_corpus(corpus, tokenizer, 30.0, INPUTS, out, **options):
        pass
    return open_dataset(out)


def bytes_of(folder):
    """The files of a dataset but for its manifest, which tells the time."""
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.name != "manifest.json"}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    path = tmp_path_factory.mktemp("shards") / "dataset"
    dataset, tokenizer = tiny_dataset(path)
    return path, dataset, tokenizer


def documents_of(stream, tokenizer):
    """The texts between the ends, read from the ids alone."""
    ids = np.asarray(stream.ids)
    assert ids[0] == ids[-1] == END_ID
    ends = np.flatnonzero(ids == END_ID)
    return [tokenizer.decode(ids[a + 1 : b].tolist()) for a, b in itertools.pairwise(ends)]


def sentences(first, last):
    return [f"{WORDS[i % 108]} {WORDS[i // 108]} coração {i}" for i in range(first, last)]


PARTS = (("a", sentences(0, 70)), ("b", sentences(70, 100)), ("a", sentences(100, 150)), ("c", sentences(150, 200)))
BPE = train_bpe_tokenizer(sentences(0, 300), 400)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return text_corpus(tmp_path_factory.mktemp("texts") / "corpus", PARTS)


@pytest.fixture(scope="module")
def packed(corpus, tmp_path_factory):
    """The dataset folder of the corpus, made at once and undisturbed."""
    out = tmp_path_factory.mktemp("packed") / "dataset"
    pack(corpus, BPE, out, tokens_per_shard=300)
    return out


# --- round trips ---------------------------------------------------------------------------------------------------


@given(tokens_per_shard=st.integers(100, 5000))
@settings(max_examples=8)
def test_every_document_comes_back_whatever_the_size_of_shards(tokens_per_shard, corpus, tmp_path_factory):
    out = tmp_path_factory.mktemp("cut") / "dataset"
    dataset = pack(corpus, BPE, out, tokens_per_shard=tokens_per_shard)
    for side in ("train", "heldout"):
        stream = getattr(dataset, side)
        grouped = [t for name in "abc" for collection, texts in PARTS if collection == name for t in texts]
        assert documents_of(stream, BPE) == [t for t in grouped if is_heldout(t, 30) == (side == "heldout")]
        assert stream.starts.tolist() == np.flatnonzero(stream.ids == END_ID)[:-1].tolist()
        assert {len(shard) for shard in stream.shards[:-1]} <= {tokens_per_shard}
        assert 0 < len(stream.shards[-1]) <= tokens_per_shard
        assert stream.tokens == len(stream.ids) - 1


def test_collections_stand_together_and_are_counted(corpus, packed):
    dataset = open_dataset(packed)
    for side in ("train", "heldout"):
        stream = getattr(dataset, side)
        assert [c.name for c in stream.collections] == ["a", "b", "c"]
        first = 0
        for counted in stream.collections:
            texts = [t for name, texts in PARTS if name == counted.name for t in texts]
            texts = [t for t in texts if is_heldout(t, 30) == (side == "heldout")]
            assert documents_of(stream, BPE)[first : first + len(texts)] == texts
            tokens = sum(len(BPE.encode(t)) + 1 for t in texts)
            size = sum(len(t.encode()) for t in texts)
            assert (counted.documents, counted.tokens, counted.bytes) == (len(texts), tokens, size)
            assert counted.characters == sum(len(t) + 1 for t in texts)
            first += len(texts)


def test_weights_are_kept_with_the_collections(corpus, tmp_path):
    dataset = pack(corpus, BPE, tmp_path / "dataset", weights={"b": 2.5, "absent": 3.0})
    for stream in (dataset.train, dataset.heldout):
        assert {c.name: c.weight for c in stream.collections} == {"a": 1.0, "b": 2.5, "c": 1.0}
    assert dataset.manifest.config == dataset_settings(30.0, {"b": 2.5, "absent": 3.0})
    assert dataset_settings(30.0) == dataset_settings(30.0, {}) == {"heldout_percent": 30.0}


def test_progress_is_told_part_by_part(corpus, tmp_path):
    told = list(pack_corpus(corpus, BPE, 30.0, INPUTS, tmp_path / "dataset"))
    assert [(event.done, event.total) for event in told] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    dataset = open_dataset(tmp_path / "dataset")
    assert told[-1].tokens == dataset.train.tokens + dataset.heldout.tokens
    assert [event.tokens for event in told] == sorted(event.tokens for event in told)


def test_a_corpus_of_words_needs_no_parquet(tmp_path):
    """The first sample of `dozero hello` must not wait for a library that it has no use for."""
    code = (
        "import sys; from pathlib import Path; from dozero.testing import tiny_dataset;"
        "tiny_dataset(Path(sys.argv[1]) / 'd'); print('pyarrow' in sys.modules, 'multiprocessing.pool' in sys.modules)"
    )
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    said = subprocess.run(
        [sys.executable, "-c", code, tmp_path], env=environment, capture_output=True, encoding="utf-8"
    )
    assert said.stdout == "False False\n", said.stderr


# --- the same bytes ------------------------------------------------------------------------------------------------


def test_two_processes_write_the_bytes_of_one(corpus, packed, tmp_path):
    pack(corpus, BPE, tmp_path / "dataset", tokens_per_shard=300, processes=2)
    assert bytes_of(tmp_path / "dataset") == bytes_of(packed)
    assert list(tmp_path.iterdir()) == [tmp_path / "dataset"]


def test_what_a_former_call_encoded_is_used(corpus, packed, tmp_path):
    events = pack_corpus(corpus, BPE, 30.0, INPUTS, tmp_path / "dataset", tokens_per_shard=300)
    next(events)
    next(events)
    events.close()
    work = tmp_path / ".packing-dataset"
    made = {part: part.stat().st_ino for part in work.glob("part-*")}
    assert sorted(part.name for part in made) == ["part-00000", "part-00001"]
    events = pack_corpus(corpus, BPE, 30.0, INPUTS, tmp_path / "dataset", tokens_per_shard=300)
    next(events)
    next(events)
    assert {part: part.stat().st_ino for part in work.glob("part-*")} == made
    assert len(list(events)) == 2
    assert bytes_of(tmp_path / "dataset") == bytes_of(packed)
    assert list(tmp_path.iterdir()) == [tmp_path / "dataset"]


@pytest.mark.parametrize("inputs", [INPUTS | {"tokenizer": "another"}, {}])
def test_what_was_encoded_otherwise_is_not_used(inputs, corpus, tmp_path):
    events = pack_corpus(corpus, train_char_tokenizer(corpus.texts()), 30.0, {}, tmp_path / "dataset")
    next(events)
    events.close()
    for _ in pack_corpus(corpus, BPE, 30.0, inputs, tmp_path / "dataset"):
        pass
    pack(corpus, BPE, tmp_path / "straight")
    assert bytes_of(tmp_path / "dataset") == bytes_of(tmp_path / "straight")


def test_two_at_once_are_kept_apart(corpus, tmp_path):
    events = pack_corpus(corpus, BPE, 30.0, INPUTS, tmp_path / "dataset")
    next(events)
    with pytest.raises(ArtifactError, match="in use by another process"):
        next(pack_corpus(corpus, BPE, 30.0, INPUTS, tmp_path / "dataset"))
    events.close()


# One process forks a child for each point: it packs until it is killed there, before the n-th call that changes the
# disk; another child then packs to the end.
KILLED_AT_EVERY_CALL = """
import json, os, signal, sys, traceback
from pathlib import Path
from dozero.corpus.store import open_corpus
from dozero.dataset.shards import pack_corpus
from dozero.tokenizer.files import open_tokenizer

folder = Path(sys.argv[1])
corpus, (tokenizer, _) = open_corpus(folder / "corpus"), open_tokenizer(folder / "tokenizer")
calls, kill_at = 0, None
CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate"}

def count():
    global calls
    calls += 1
    if calls == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)

def watch(name, arguments):
    if name in CHANGES or (name == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)):
        count()

def pack(out, point):
    \"\"\"Pack in a child, killed at this call (None: never); return its exit code and how many calls it made.\"\"\"
    global calls, kill_at
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            calls, kill_at = 0, point
            list(pack_corpus(corpus, tokenizer, 30.0, {"corpus": "c", "tokenizer": "t"}, out, tokens_per_shard=300))
            os.write(write, json.dumps(calls).encode())
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    os.close(write)
    with open(read, "rb") as told:
        text = told.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), json.loads(text or b"null")

def files(out):
    return {f.name: f.read_bytes() for f in out.iterdir() if f.name != "manifest.json"}

sys.addaudithook(watch)
code, points = pack(folder / "whole", None)
assert code == 0 and points > 50, (code, points)
fewer = 0
for point in range(1, points + 1, int(sys.argv[2])):
    out = folder / f"killed-{point}"
    assert pack(out, point)[0] == -9
    code, again = pack(out, None)
    assert code == 0, point
    fewer += again < points
    assert files(out) == files(folder / "whole"), point
assert not list(folder.glob(".*")), list(folder.glob(".*"))
print(points, fewer)
"""


def test_killed_at_any_call_that_changes_the_disk_it_ends_with_the_same_bytes(tmp_path):
    text_corpus(tmp_path / "corpus", [(name, texts[:30]) for name, texts in PARTS[:3]])
    save_tokenizer(BPE, tmp_path / "tokenizer", Manifest(kind="tokenizer"))
    command = [sys.executable, "-c", KILLED_AT_EVERY_CALL, tmp_path, "4"]
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    said = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", timeout=120)
    assert said.returncode == 0, said.stderr
    points, fewer = map(int, said.stdout.split())
    assert fewer > points / 4 / 2, "most go on where they were"


def test_killed_with_its_workers_at_random_moments(corpus, packed, tmp_path):
    """The workers end with their parent, and a part that one of them had half made is made anew."""
    save_tokenizer(BPE, tmp_path / "tokenizer", Manifest(kind="tokenizer"))
    code = (
        "import sys; from pathlib import Path; from dozero.corpus.store import open_corpus;"
        "from dozero.dataset.shards import pack_corpus; from dozero.tokenizer.tokenizer import open_tokenizer\n"
        "if __name__ == '__main__':\n"
        "    list(pack_corpus(open_corpus(Path(sys.argv[1])), open_tokenizer(Path('tokenizer'))[0], 30.0,"
        " {'corpus': 'c', 'tokenizer': 't'}, Path('dataset'), processes=2, tokens_per_shard=300))"
    )
    (tmp_path / "pack.py").write_text(code)
    draw = random.Random(3)
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "pack.py", corpus.path], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(SOURCE)},
            start_new_session=True,
        )  # fmt: skip
        time.sleep(draw.uniform(0.3, 1.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
        ends = time.monotonic() + 20
        while group_lives(process.pid) and time.monotonic() < ends:
            time.sleep(0.05)
        assert not group_lives(process.pid), "no worker outlives its parent"
    (tmp_path / "pack.py").unlink()
    pack(corpus, BPE, tmp_path / "dataset", tokens_per_shard=300)
    assert bytes_of(tmp_path / "dataset") == bytes_of(packed)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["dataset", "tokenizer"]


def group_lives(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


# --- what is opened ------------------------------------------------------------------------------------------------


def test_what_is_opened_is_what_was_built(built, tmp_path):
    path, opened, tokenizer = built
    shutil.copytree(path, tmp_path / "copy")
    again = open_dataset(tmp_path / "copy")
    for side in ("train", "heldout"):
        stream, other = getattr(opened, side), getattr(again, side)
        assert isinstance(stream.shards[0].base, np.memmap), "read from disk when used"
        assert np.array_equal(stream.ids, other.ids)
        assert stream.starts.tolist() == other.starts.tolist()
        assert stream.collections == other.collections
    assert opened.vocab_size == again.vocab_size == tokenizer.vocab_size
    assert opened.manifest.fingerprint == again.manifest.fingerprint


def test_every_document_is_on_one_side_in_its_order(built):
    _, dataset, tokenizer = built
    assert documents_of(dataset.train, tokenizer) == [word for word in WORDS if not is_heldout(word, 20)]
    assert documents_of(dataset.heldout, tokenizer) == [word for word in WORDS if is_heldout(word, 20)]


def test_the_manifest_counts_what_the_streams_hold(built):
    _, dataset, _ = built
    for side in ("train", "heldout"):
        stream = getattr(dataset, side)
        told = {name: getattr(stream, name) for name in ("documents", "tokens", "characters", "bytes")}
        assert dataset.manifest.counts[side] == told
        assert stream.tokens == stream.characters, "one token a character"
    assert dataset.manifest.about["licence"] == "CC0-1.0", "the licence of the text goes with it"


@pytest.mark.parametrize("name", FILES)
def test_truncated_shard_is_named(name, built, tmp_path):
    shutil.copytree(built[0], tmp_path / "dataset")
    file = tmp_path / "dataset" / name
    content = file.read_bytes()
    for length in (0, 1, len(content) // 2, len(content) - 1):
        file.write_bytes(content[:length])
        with pytest.raises(ArtifactError) as caught:
            open_dataset(tmp_path / "dataset")
        assert caught.value.where == file


@pytest.mark.parametrize("name", FILES)
def test_flipped_bit_of_a_shard_is_named(name, built, tmp_path):
    shutil.copytree(built[0], tmp_path / "dataset")
    file, draw = tmp_path / "dataset" / name, random.Random(name)
    content = file.read_bytes()
    for _ in range(20):
        damaged = bytearray(content)
        damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
        file.write_bytes(damaged)
        with pytest.raises(ArtifactError, match="SHA-256") as caught:
            open_dataset(tmp_path / "dataset")
        assert caught.value.where == file


def test_too_few_documents_for_two_splits_are_refused(tmp_path):
    corpus = tiny_corpus(tmp_path / "corpus", ["casa"])
    with pytest.raises(DataError, match="too few documents") as caught:
        build_dataset(corpus, train_char_tokenizer(corpus.texts()), 20.0, {}, tmp_path / "dataset")
    assert caught.value.got == 1
    assert list(tmp_path.iterdir()) == [tmp_path / "corpus"]


def test_a_character_without_a_token_is_refused(tmp_path):
    corpus = tiny_corpus(tmp_path / "corpus")
    with pytest.raises(DataError, match="never saw"):
        build_dataset(corpus, train_char_tokenizer(["abc"]), 20.0, {}, tmp_path / "dataset")
    assert list(tmp_path.iterdir()) == [tmp_path / "corpus"]


def test_the_index_is_readable_by_people(built):
    index = json.loads((built[0] / "index.json").read_text(encoding="utf-8"))
    assert index["dtype"] == "uint16"
    assert index["vocab_size"] == built[1].vocab_size
    assert index["train"]["shards"] == ["train-00000.bin"]


def test_a_dataset_of_an_older_version_is_refused(tmp_path):
    with write_artifact(tmp_path / "dataset", Manifest(kind="dataset")) as folder:
        write_json(folder / "index.json", {"vocab_size": 13, "dtype": "uint16", "train": {"bytes": 7}})
    with pytest.raises(ArtifactError, match="older version"):
        open_dataset(tmp_path / "dataset")
