"""R03: the power fails. Whatever of the unflushed writes reached the disk, the run goes on from what it had told to be saved.

A run is recorded: what the folder holds at each flush, rename and deletion. Then the disk is set to every state that a
failure at that moment may leave (after CrashMonkey, Mohan et al. 2018, and ALICE, Pillai et al. 2014): of a folder any
version since it was last flushed, of a file what was flushed and of the rest nothing, half or all. From each the same
command must come to the same bits, and must not begin before the last checkpoint that was told.
"""

import itertools
import os
import shutil
import sys
from pathlib import Path

import pytest
import torch

from dozero.device import Device
from dozero.testing import tiny_config, tiny_dataset
from dozero.train.events import Finished, Saved
from dozero.train.loop import train

CPU = Device("cpu", torch.float32, 1)
CONFIG = tiny_config(
    *("train.steps=4", "train.save_every=2", "train.keep=1", "train.eval_every=4", "train.sample_every=2"),
)
BITS = ("metrics.jsonl", "samples.jsonl", "model/model.safetensors")


class Recorder:
    """What a folder held over time, by inode: folders as names, files as bytes; and when each was flushed."""

    def __init__(self, root):
        self.root, self.moments, self.flushed, self.told, self.held = root, [], {}, [], {}
        self.saved = -1

    def look(self):
        """Keep what is there now. Everything seen is held open, so that no inode is given to another."""
        folders, files = {}, {}
        self._walk(self.root, folders, files)
        self.moments.append((folders, files))
        self.told.append(self.saved)

    def _walk(self, folder, folders, files):
        entries = {}
        for entry in os.scandir(folder):
            inode = self._hold(entry.path)
            entries[entry.name] = inode
            if entry.is_dir():
                self._walk(entry.path, folders, files)
            else:
                files[inode] = Path(entry.path).read_bytes()
        folders[self._hold(folder)] = entries

    def _hold(self, path):
        inode = Path(path).stat().st_ino
        if inode not in self.held:
            self.held[inode] = os.open(path, os.O_RDONLY)
        return inode

    def flush(self, descriptor):
        self.look()
        self.flushed.setdefault(os.fstat(descriptor).st_ino, []).append(len(self.moments) - 1)

    def close(self):
        for descriptor in self.held.values():
            os.close(descriptor)


def record(monkeypatch, root, events):
    """Run the events to their end and return what the folder went through."""
    recorder = Recorder(root)
    recorder.look()
    recorder.flush(recorder.held[root.stat().st_ino])  # the folder was there before
    fsync = os.fsync

    def flush(descriptor):
        fsync(descriptor)
        recorder.flush(descriptor)

    def around(function):
        def call(*args, **kwargs):
            recorder.look()
            result = function(*args, **kwargs)
            recorder.look()
            return result

        return call

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", flush)
        for module, name in ((os, "rename"), (os, "replace"), (shutil, "rmtree")):
            patch.setattr(module, name, around(getattr(module, name)))
        for event in events:
            if isinstance(event, Saved):
                recorder.saved = event.step
            recorder.look()
    recorder.close()
    return recorder


def states_after_failure(recorder, moment):
    """Yield every tree, as bytes by path, that a failure at this moment may leave."""
    root = next(iter(recorder.flushed))
    versions = {}
    seen = {f for held, _ in recorder.moments[: moment + 1] for f in held}
    for folder in seen:
        since = max((t for t in recorder.flushed.get(folder, ()) if t <= moment), default=None)
        states = [] if since is not None else [{}]
        for held, _ in recorder.moments[since or 0 : moment + 1]:
            if held.get(folder, {} if states else None) not in (None, *states):
                states.append(held.get(folder, {}))
        versions[folder] = states
    contents = [dict(content_after_failure(recorder, moment, part)) for part in (0.0, 0.5, 1.0)]
    chosen = [f for f in versions if len(versions[f]) > 1]
    for picks in itertools.product(*(versions[f] for f in chosen)):
        entries = {f: states[0] for f, states in versions.items()} | dict(zip(chosen, picks, strict=True))
        for content in contents:
            yield dict(tree_of(root, entries, content, ""))


def content_after_failure(recorder, moment, part):
    """Yield each file with what was flushed of it and this part of what came after."""
    for file in {f for _, files in recorder.moments[: moment + 1] for f in files}:
        since = max((t for t in recorder.flushed.get(file, ()) if t <= moment), default=None)
        safe = b"" if since is None else recorder.moments[since][1].get(file, b"")
        last = next(files[file] for _, files in reversed(recorder.moments[: moment + 1]) if file in files)
        assert last.startswith(safe), "files are only appended to"
        yield file, last[: len(safe) + int(part * (len(last) - len(safe)))]


def tree_of(folder, entries, content, path):
    for name, inode in entries.get(folder, {}).items():
        if inode in content:
            yield f"{path}{name}", content[inode]
        else:
            yield f"{path}{name}/", b""
            yield from tree_of(inode, entries, content, f"{path}{name}/")


def lay_down(tree, root):
    root.mkdir()
    for path, content in sorted(tree.items()):
        if path.endswith("/"):
            (root / path).mkdir()
        else:
            (root / path).write_bytes(content)


@pytest.mark.no_cover
def test_power_fails_at_any_moment(monkeypatch, tmp_path, capsys):
    data = tiny_dataset(tmp_path / "dataset")
    disk = tmp_path / "disk"
    disk.mkdir()
    recorder = record(monkeypatch, disk, train(CONFIG, *data, disk / "run", CPU))
    whole = {name: (disk / "run" / name).read_bytes() for name in BITS}
    least = {}
    for moment in range(len(recorder.moments)):
        for tree in states_after_failure(recorder, moment):
            key = tuple(sorted(tree.items()))
            least[key] = max(least.get(key, -1), recorder.told[moment])
    assert recorder.saved == 4
    assert len(least) > 100, "many states"
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # what comes now is on a disk that keeps its power
    begun = []
    for number, (tree, saved) in enumerate(least.items()):
        root = tmp_path / str(number)
        lay_down(dict(tree), root)
        started, *_, finished = train(CONFIG, *data, root / "run", CPU)
        assert isinstance(finished, Finished)
        assert started.step >= max(saved, 0), (dict(tree).keys(), saved)
        assert {name: (root / "run" / name).read_bytes() for name in BITS} == whole, dict(tree).keys()
        begun.append(started.step)
        shutil.rmtree(root)
    assert set(begun) == {0, 2, 4}
    with capsys.disabled():
        counts = ", ".join(f"{begun.count(step)} continued from step {step}" for step in (0, 2, 4))
        sys.stdout.write(
            f"\n  power lost at {len(recorder.moments)} moments, {len(least)} states of the disk: {counts}\n"
        )


def test_the_recorder_finds_a_file_that_is_renamed_before_it_is_flushed(monkeypatch, tmp_path):
    """The classic mistake: after a failure the new name is there, and nothing in it."""
    disk = tmp_path / "disk"
    disk.mkdir()

    def write():
        (disk / "a.part").write_text("content")
        yield
        os.replace(disk / "a.part", disk / "a")
        yield

    recorder = record(monkeypatch, disk, write())
    trees = [tree for moment in range(len(recorder.moments)) for tree in states_after_failure(recorder, moment)]
    assert {"a": b""} in trees
    assert {"a": b"content"} in trees
    assert {} in trees


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no folders to flush, and journals renames"),
]
