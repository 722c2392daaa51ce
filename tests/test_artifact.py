"""What artifact.py promises: a folder written whole or not at all, damage found and named, one writer at a time."""

import contextlib
import json
import os
import random
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from started import python

from dozero.artifact import (
    MANIFEST,
    Manifest,
    check_replaceable,
    is_current,
    open_artifact,
    read_manifest,
    sweep_leftovers,
    versions,
    write_artifact,
)
from dozero.durable import sha256_of, write_json
from dozero.errors import ArtifactError

FILES = {"a.bin": bytes(range(256)) * 5, "b.txt": "coração\n".encode(), "inner/c.json": b"{}", "empty": b""}
OTHER = {"a.bin": b"another content", "d.txt": b"a file that the first one lacks"}


def write(path, files=FILES, kind="corpus", **fields):
    manifest = Manifest(kind=kind, **fields)
    with write_artifact(path, manifest) as folder:
        for name, content in files.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)
    return manifest


def contents(path):
    """Every file below a folder but the manifest, by name."""
    files = (p for p in path.rglob("*") if p.is_file() and p != path / MANIFEST)
    return {p.relative_to(path).as_posix(): p.read_bytes() for p in files}


def hidden(folder):
    return sorted(p.name for p in folder.iterdir() if p.name.startswith("."))


# --- round trip ----------------------------------------------------------------------------------------------------


def test_what_was_written_is_what_is_read(tmp_path):
    told = {"inputs": {"words": "abc"}, "config": {"x": 1.5}, "counts": {"kept": 2}, "about": {"licence": "CC0-1.0"}}
    written = write(tmp_path / "deep" / "er" / "art", **told)
    assert open_artifact(tmp_path / "deep" / "er" / "art", "corpus") == written
    assert {key: getattr(written, key) for key in told} == told
    assert contents(tmp_path / "deep" / "er" / "art") == FILES
    assert hidden(tmp_path / "deep" / "er") == []


def test_the_manifest_names_every_file_with_size_and_sha256(tmp_path):
    manifest = write(tmp_path / "art")
    assert {name: entry["bytes"] for name, entry in manifest.files.items()} == {n: len(c) for n, c in FILES.items()}
    coreutils = subprocess.run(["sha256sum", *FILES], cwd=tmp_path / "art", capture_output=True, encoding="utf-8")
    theirs = {line[66:]: line[:64] for line in coreutils.stdout.splitlines()}
    assert {name: entry["sha256"] for name, entry in manifest.files.items()} == theirs
    assert sha256_of(tmp_path / "art" / "a.bin") == theirs["a.bin"]


def test_the_manifest_tells_time_and_versions(tmp_path):
    with write_artifact(tmp_path / "art", Manifest(kind="corpus")):
        time.sleep(0.02)
    manifest = read_manifest(tmp_path / "art")
    assert 0.02 <= manifest.seconds < 10
    assert manifest.versions == versions()
    assert set(versions()) >= {"python", "platform", "dozero", "torch", "numpy"}


def test_the_fingerprint_follows_the_content_and_nothing_else(tmp_path):
    base = write(tmp_path / "a", inputs={"i": "1"}, config={"c": 1})
    again = write(
        tmp_path / "b", inputs={"i": "1"}, config={"c": 1}, seconds=99.0, counts={"n": 3}, about={"who": "me"}
    )
    assert base.fingerprint == again.fingerprint == open_artifact(tmp_path / "b", "corpus").fingerprint
    others = [
        write(tmp_path / "c", inputs={"i": "2"}, config={"c": 1}),
        write(tmp_path / "d", inputs={"i": "1"}, config={"c": 2}),
        write(tmp_path / "e", kind="dataset", inputs={"i": "1"}, config={"c": 1}),
        write(tmp_path / "f", FILES | {"empty": b"x"}, inputs={"i": "1"}, config={"c": 1}),
    ]
    assert len({base.fingerprint, *(m.fingerprint for m in others)}) == 5


def test_current_means_intact_and_made_from_just_this(tmp_path):
    path = tmp_path / "art"
    assert not is_current(path, "corpus", {}, {})
    write(path, inputs={"i": "1"}, config={"shape": (1, 2)})
    assert is_current(path, "corpus", {"i": "1"}, {"shape": (1, 2)})
    assert not is_current(path, "dataset", {"i": "1"}, {"shape": (1, 2)})
    assert not is_current(path, "corpus", {"i": "2"}, {"shape": (1, 2)})
    assert not is_current(path, "corpus", {"i": "1"}, {"shape": (1, 3)})
    (path / "empty").write_bytes(b"x")
    assert not is_current(path, "corpus", {"i": "1"}, {"shape": (1, 2)})


# --- damage --------------------------------------------------------------------------------------------------------


def assert_found(path, named):
    with pytest.raises(ArtifactError) as caught:
        open_artifact(path, "corpus")
    assert str(caught.value.where).endswith(named), caught.value
    assert not is_current(path, "corpus", {}, {})


@pytest.mark.parametrize("name", [name for name in FILES if FILES[name]])
@pytest.mark.parametrize("left", ["nothing", "one byte", "half", "all but one byte"])
def test_truncated_file_is_named(name, left, tmp_path):
    write(tmp_path / "art")
    size = len(FILES[name])
    os.truncate(
        tmp_path / "art" / name, {"nothing": 0, "one byte": 1, "half": size // 2, "all but one byte": size - 1}[left]
    )
    assert_found(tmp_path / "art", name)


@pytest.mark.parametrize("name", [name for name in FILES if FILES[name]])
def test_flipped_bit_is_named(name, tmp_path):
    write(tmp_path / "art")
    file, draw = tmp_path / "art" / name, random.Random(name)
    for _ in range(50):
        damaged = bytearray(FILES[name])
        damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
        file.write_bytes(damaged)
        assert_found(tmp_path / "art", name)
    file.write_bytes(FILES[name])
    open_artifact(tmp_path / "art", "corpus")


@pytest.mark.parametrize("name", [*FILES, MANIFEST])
def test_missing_file_is_named(name, tmp_path):
    write(tmp_path / "art")
    (tmp_path / "art" / name).unlink()
    assert_found(tmp_path / "art", "art" if name == MANIFEST else name)


def test_grown_file_and_folder_in_its_place_are_named(tmp_path):
    write(tmp_path / "art")
    (tmp_path / "art" / "empty").write_bytes(b"no more")
    assert_found(tmp_path / "art", "empty")
    (tmp_path / "art" / "empty").unlink()
    (tmp_path / "art" / "empty").mkdir()
    assert_found(tmp_path / "art", "empty")


def another_hash(tree):
    tree["files"]["a.bin"]["sha256"] = "0" * 64


def another_size(tree):
    tree["files"]["a.bin"]["bytes"] += 1


def another_kind(tree):
    tree["kind"] = "model"


def another_format(tree):
    tree["format"] = 999


def unknown_key(tree):
    tree["colour"] = "blue"


def no_kind(tree):
    del tree["kind"]


def files_as_a_list(tree):
    tree["files"] = list(tree["files"])


def files_without_hashes(tree):
    tree["files"] = {name: {} for name in tree["files"]}


def files_as_numbers(tree):
    tree["files"] = dict.fromkeys(tree["files"], 1)


def a_file_forgotten(tree):
    del tree["files"]["a.bin"]


def other_inputs(tree):
    tree["inputs"] = {"words": "0" * 64}


def other_settings(tree):
    tree["config"] = {"min_letters": 3}


def other_counts(tree):
    tree["counts"] = {"kept": 1_000_000}


TAMPERINGS = (
    *(another_hash, another_size, another_kind, another_format, unknown_key, no_kind, files_as_a_list),
    *(files_without_hashes, files_as_numbers, a_file_forgotten, other_inputs, other_settings, other_counts),
)


@pytest.mark.parametrize("tamper", TAMPERINGS, ids=lambda tamper: tamper.__name__)
def test_tampered_manifest_is_found(tamper, tmp_path):
    write(tmp_path / "art")
    file = tmp_path / "art" / MANIFEST
    tree = json.loads(file.read_text(encoding="utf-8"))
    tamper(tree)
    write_json(file, tree)
    with pytest.raises(ArtifactError, match="art"):
        open_artifact(tmp_path / "art", "corpus")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "1", '"text"', '{"kind": "corpus"', "\x00" * 100, "\xff"])
def test_manifest_that_is_no_manifest_is_named(text, tmp_path):
    write(tmp_path / "art")
    (tmp_path / "art" / MANIFEST).write_bytes(text.encode("latin-1"))
    assert_found(tmp_path / "art", MANIFEST)


def test_truncated_manifest_is_found_wherever_it_was_cut(tmp_path):
    write(tmp_path / "art")
    file = tmp_path / "art" / MANIFEST
    whole = file.read_bytes()
    for length in range(len(whole) - 1):  # without its last newline it is whole
        file.write_bytes(whole[:length])
        assert_found(tmp_path / "art", MANIFEST)


def test_flipped_bit_of_the_manifest_is_found(tmp_path):
    """Wherever it is: a count or a version that is not what was written must not be told as the truth."""
    write(tmp_path / "art", inputs={"words": "abc"}, counts={"kept": 12}, about={"licence": "CC0-1.0"}, seconds=1.25)
    file, draw, passed = tmp_path / "art" / MANIFEST, random.Random(0), []
    whole = file.read_bytes()
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << draw.randrange(8)
        if json_of(damaged) == json_of(whole):
            continue  # white space that became another white space
        file.write_bytes(damaged)
        with contextlib.suppress(ArtifactError):
            open_artifact(tmp_path / "art", "corpus")
            passed.append(whole[max(0, place - 12) : place + 12].decode(errors="replace"))
    assert passed == []


def json_of(text):
    try:
        return json.loads(text)
    except ValueError:
        return None


# --- what is not ours ----------------------------------------------------------------------------------------------


def make_folder(path):
    path.mkdir()
    (path / "thesis.odt").write_bytes(b"three years of work")


def make_file(path):
    path.write_bytes(b"three years of work")


def make_link_to_nowhere(path):
    path.symlink_to(path.parent / "nowhere")


def make_link_to_a_folder(path):
    make_folder(path.parent / "elsewhere")
    path.symlink_to(path.parent / "elsewhere")


def make_other_kind(path):
    write(path, kind="model")


def make_damaged(path):
    write(path)
    (path / MANIFEST).write_text("{", encoding="utf-8")


def snapshot(folder):
    return {p.relative_to(folder): p.readlink() if p.is_symlink() else p.is_file() and p.read_bytes() for p in folder.rglob("*")}  # fmt: skip


FOREIGN = (make_folder, make_file, make_link_to_nowhere, make_link_to_a_folder, make_other_kind, make_damaged)


@pytest.mark.parametrize("make", FOREIGN, ids=lambda make: make.__name__)
def test_what_dozero_did_not_write_is_never_replaced(make, tmp_path):
    make(tmp_path / "art")
    before = snapshot(tmp_path)
    with (
        pytest.raises(ArtifactError, match="left alone") as caught,
        write_artifact(tmp_path / "art", Manifest("corpus")),
    ):
        pytest.fail("the writer was let in")
    assert caught.value.where == tmp_path / "art"
    assert snapshot(tmp_path) == before


def test_a_free_place_an_empty_folder_and_an_older_artifact_are_replaceable(tmp_path):
    check_replaceable(tmp_path / "art", "corpus")
    (tmp_path / "art").mkdir()
    check_replaceable(tmp_path / "art", "corpus")
    write(tmp_path / "art")
    check_replaceable(tmp_path / "art", "corpus")
    write(tmp_path / "art", OTHER)
    assert contents(tmp_path / "art") == OTHER
    assert hidden(tmp_path) == []


@pytest.mark.parametrize("name", ["art", "modelo[1]", "a*b", "com espaço", "maçã"])
def test_leftovers_of_any_name_are_swept(name, tmp_path):
    (tmp_path / f".writing-{name}-123").mkdir()
    (tmp_path / f".writing-{name}-123" / "half").write_bytes(b"x")
    write(tmp_path / f".replaced-{name}-123")
    sweep_leftovers(tmp_path / name)
    assert hidden(tmp_path) == []
    assert contents(tmp_path / name) == FILES, "what had stepped aside is back"


def test_leftovers_of_a_sibling_whose_name_begins_alike_are_not_touched(tmp_path):
    write(tmp_path / ".replaced-model-2-123")
    (tmp_path / ".writing-model-2-456").mkdir()
    sweep_leftovers(tmp_path / "model")
    assert hidden(tmp_path) == [".replaced-model-2-123", ".writing-model-2-456"]
    assert not (tmp_path / "model").exists()


# --- killed while writing ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("older", [False, True], ids=["nothing before", "an older one before"])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_error_inside_leaves_what_was_there(error, older, tmp_path):
    if older:
        write(tmp_path / "art")
    before = snapshot(tmp_path)

    def write_half():
        with write_artifact(tmp_path / "art", Manifest("corpus")) as folder:
            (folder / "a.bin").write_bytes(b"half")
            raise error

    with pytest.raises(error):
        write_half()
    assert snapshot(tmp_path) == before


# Exits like a process that was killed, at the k-th call of one of the system calls that make a folder durable.
KILLED_WRITER = """
import os, shutil, sys
from pathlib import Path
from dozero.artifact import Manifest, write_artifact

path, kill_at, when = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
calls = 0

def counted(function):
    def call(*args, **options):
        global calls
        calls += 1
        if calls == kill_at and when == "before":
            os._exit(9)
        result = function(*args, **options)
        if calls == kill_at and when == "after":
            os._exit(9)
        return result
    return call

with write_artifact(path, Manifest("corpus")) as folder:
    (folder / "a.bin").write_bytes(b"another content")
    (folder / "d.txt").write_bytes(b"a file that the first one lacks")
    os.fsync, os.rename, shutil.rmtree = map(counted, (os.fsync, os.rename, shutil.rmtree))
print(calls)
"""


def test_killed_at_any_point_leaves_the_old_or_the_new(tmp_path):
    """fsync of two files, manifest and folder; the old one aside, the new one in, the old one gone, fsync of the parent."""
    whole = python(KILLED_WRITER, tmp_path / "whole", 0, "never")
    assert int(whole.communicate()[0]) == 6, (
        "fsync of two files, the manifest and the folder, rename, fsync of the parent"
    )
    write(tmp_path / "whole2" / "art")
    replacing = python(KILLED_WRITER, tmp_path / "whole2" / "art", 0, "never")
    points = int(replacing.communicate()[0])
    assert points == 8, "and the old one steps aside and is removed"
    started = []
    for point in range(1, points + 1):
        for when in ("before", "after"):
            folder = tmp_path / f"{point}-{when}"
            write(folder / "art")
            started.append((folder, python(KILLED_WRITER, folder / "art", point, when)))
            if len(started) % 2 == 0:
                started[-1][1].communicate()
    seen = set()
    for folder, process in started:
        process.communicate()
        assert process.returncode == 9
        # What the next writer, or a reader who sweeps, finds:
        sweep_leftovers(folder / "art")
        open_artifact(folder / "art", "corpus")
        found = contents(folder / "art")
        assert found in (FILES, OTHER), "a mixture"
        assert hidden(folder) == []
        seen.add("old" if found == FILES else "new")
    assert seen == {"old", "new"}


# --- durable -------------------------------------------------------------------------------------------------------


def test_everything_is_on_disk_before_the_folder_appears(tmp_path, monkeypatch):
    """After a power failure a rename may have happened without the data before it, unless that was flushed."""
    happened = []
    fsync, rename = os.fsync, os.rename
    monkeypatch.setattr(os, "fsync", lambda fd: (happened.append(Path(f"/proc/self/fd/{fd}").readlink()), fsync(fd)))
    monkeypatch.setattr(os, "rename", lambda a, b: (happened.append("rename"), rename(a, b)))
    if not Path("/proc/self/fd").exists():
        pytest.skip("no /proc to tell the names of open files")
    write(tmp_path / "art", {"a.bin": b"1", "b.txt": b"2"})
    place = happened.index("rename")
    flushed = [p.name for p in happened[:place]]
    assert set(flushed[:2]) == {"a.bin", "b.txt"}
    assert flushed[2] == MANIFEST
    assert happened[place - 1].parent == tmp_path, "the folder itself, still under its hidden name"
    assert happened[place + 1 :] == [tmp_path], "and the parent, which holds the new name"


# --- disk full -----------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("mounting a small file system takes root on Linux")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], capture_output=True, encoding="utf-8"
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a small file system: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def test_full_disk_is_one_error_and_the_old_one_is_intact(small_disk):
    write(small_disk / "art")
    with pytest.raises(ArtifactError, match="No space left") as caught:
        write(small_disk / "art", {"big.bin": bytes(300_000)})
    assert "MB free" in caught.value.got
    assert caught.value.where == small_disk / "art"
    open_artifact(small_disk / "art", "corpus")
    assert contents(small_disk / "art") == FILES
    assert hidden(small_disk) == []
    write(small_disk / "art", OTHER)
    assert contents(small_disk / "art") == OTHER


def test_disk_filled_before_the_manifest_is_the_same_error(small_disk):
    write(small_disk / "art")
    filler = small_disk / "filler"

    def write_and_fill_the_disk():
        with write_artifact(small_disk / "art", Manifest("corpus")) as folder:
            (folder / "a.bin").write_bytes(bytes(4096))
            with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
                while True:
                    file.write(bytes(4096))

    with pytest.raises(ArtifactError, match="No space left"):
        write_and_fill_the_disk()
    filler.unlink()
    open_artifact(small_disk / "art", "corpus")
    assert hidden(small_disk) == []


LIMITED_WRITER = """
import resource, signal, sys
from pathlib import Path
from dozero.artifact import Manifest, write_artifact
from dozero.errors import ArtifactError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    with write_artifact(Path(sys.argv[1]), Manifest("corpus")) as folder:
        (folder / "big.bin").write_bytes(bytes(200_000))
except ArtifactError as error:
    print(error)
"""


def test_file_larger_than_allowed_is_one_error_and_the_old_one_is_intact(tmp_path):
    write(tmp_path / "art")
    out, err = python(LIMITED_WRITER, tmp_path / "art").communicate()
    assert "cannot be written: File too large" in out, err
    assert contents(tmp_path / "art") == FILES
    open_artifact(tmp_path / "art", "corpus")
    assert hidden(tmp_path) == []


def test_folder_that_takes_no_files_is_one_error(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ArtifactError, match="cannot be written"):
        write(tmp_path / "file" / "art")
    with pytest.raises(ArtifactError, match="cannot be written"):
        write(tmp_path / ("long" * 100))


# --- details the command line shows --------------------------------------------------------------------------------


def test_missing_folder_and_other_kind_are_told_apart(tmp_path):
    with pytest.raises(ArtifactError, match="not an artifact of dozero"):
        read_manifest(tmp_path / "nowhere")
    manifest = write(tmp_path / "art")
    with pytest.raises(ArtifactError, match="another kind of artifact; expected dataset; got corpus"):
        open_artifact(tmp_path / "art", "dataset")
    assert read_manifest(tmp_path / "art") == replace(manifest)
