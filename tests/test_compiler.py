"""The C source compiles cleanly everywhere it should, once; what others could have written is not opened."""

import os
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path

import pytest

from dozero import compiler
from dozero.compiler import (
    COMPILERS,
    CPUS,
    FLAGS,
    SOURCES,
    THREADS,
    cache_folder,
    compile_ahead,
    is_ours_alone,
    is_whole,
    open_library,
)

SOURCE = "train/orthogonal.c"  # the quickest to compile
COMPILER = next(filter(None, map(shutil.which, COMPILERS)), None)
needs_compiler = pytest.mark.skipif(COMPILER is None or os.name == "nt", reason="no C compiler")


@pytest.fixture
def opened_anew(tmp_path, monkeypatch):
    """An empty cache folder, and nothing remembered before or after."""
    monkeypatch.setenv("DOZERO_CACHE", str(tmp_path))
    compiler._open_library.cache_clear()
    yield tmp_path / "native"
    compiler._open_library.cache_clear()


@needs_compiler
def test_it_is_compiled_once_for_this_user_alone(opened_anew):
    assert open_library(SOURCE) is not None
    (made,) = opened_anew.iterdir()
    assert made.stat().st_mode & 0o777 == opened_anew.stat().st_mode & 0o777 == 0o700
    before = made.stat().st_mtime_ns
    compiler._open_library.cache_clear()
    assert open_library(SOURCE) is not None
    assert made.stat().st_mtime_ns == before


def test_without_a_compiler_there_is_none(opened_anew, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert open_library(SOURCE) is None
    assert not opened_anew.exists()


@pytest.mark.parametrize("script", ["exit 1", 'echo cc 1.0; test "$1" = --version'])
def test_a_compiler_that_does_not_work_is_as_good_as_none(script, opened_anew, tmp_path, monkeypatch):
    """Such as the `cc` of a Mac without its developer tools, or one without the headers of C."""
    broken = tmp_path / "cc"
    broken.write_text(f"#!/bin/sh\n{script}\n")
    broken.chmod(0o700)
    monkeypatch.setattr(shutil, "which", lambda name: str(broken))
    assert open_library(SOURCE) is None
    assert not list(opened_anew.glob("*"))


@needs_compiler
def test_what_a_killed_process_left_half_made_is_removed_but_not_what_another_is_at(opened_anew):
    opened_anew.mkdir(mode=0o700)
    left, another = opened_anew / f"{compiler.UNFINISHED}old", opened_anew / f"{compiler.UNFINISHED}new"
    for folder in (left, another):
        folder.mkdir()
        (folder / "source.c").write_text("int main")
    os.utime(left, (0, 0))
    assert open_library(SOURCE) is not None
    assert not left.exists()
    assert (another / "source.c").exists()


@needs_compiler
def test_a_folder_that_others_can_write_is_not_used(opened_anew):
    opened_anew.mkdir()
    opened_anew.chmod(0o777)
    assert open_library(SOURCE) is None
    assert not list(opened_anew.iterdir())


@needs_compiler
@pytest.mark.parametrize(
    "spoil", [lambda file: file.write_bytes(file.read_bytes()[:1000]), lambda file: file.chmod(0o722)]
)
def test_a_file_that_is_not_whole_or_that_others_can_write_is_not_opened_but_made_anew(spoil, opened_anew):
    assert open_library(SOURCE) is not None
    (made,) = opened_anew.iterdir()
    good = made.read_bytes()
    made.unlink()  # what this process has opened stays as it is
    made.write_bytes(good)
    spoil(made)
    assert not (is_ours_alone(made) and is_whole(made))
    compiler._open_library.cache_clear()
    assert open_library(SOURCE) is not None
    assert made.read_bytes() == good
    assert is_ours_alone(made)


def test_the_cache_folder_is_where_the_user_says(monkeypatch, tmp_path):
    monkeypatch.delenv("DOZERO_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "dozero" / "native"
    monkeypatch.setenv("DOZERO_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine" / "native"


@needs_compiler
@pytest.mark.parametrize("cpu", [CPUS[0], "-mavx2 -mfma", ""])
@pytest.mark.parametrize("source", SOURCES)
def test_the_sources_compile_without_a_warning_for_old_cpus_too(source, cpu, tmp_path):
    if cpu.startswith("-mavx2") and "avx2" not in compiler.read_text(Path("/proc/cpuinfo")):
        pytest.skip("not an x86")
    command = [COMPILER, *FLAGS, *cpu.split(), *THREADS[0], "-Wall", "-Wextra", "-Werror", "-o", str(tmp_path / "d.so")]
    done = subprocess.run([*command, str(resources.files("dozero") / source), "-lm"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@needs_compiler
def test_what_is_compiled_ahead_is_what_is_opened(opened_anew):
    compile_ahead().join()
    made = {file: file.stat().st_mtime_ns for file in opened_anew.iterdir()}
    assert len(made) == len(SOURCES)
    assert all(open_library(source) is not None for source in SOURCES)
    assert {file: file.stat().st_mtime_ns for file in opened_anew.iterdir()} == made


@needs_compiler
def test_one_file_is_opened_while_another_is_still_compiled(opened_anew, monkeypatch):
    """A first run wants those of training, and not to wait for that of generating."""
    is_at_it, may_end, compile_one = threading.Event(), threading.Event(), compiler._compile

    def slowly(name, source, folder, stem):
        if stem.startswith("attend"):
            is_at_it.set()
            assert may_end.wait(60)
        return compile_one(name, source, folder, stem)

    monkeypatch.setattr(compiler, "_compile", slowly)
    monkeypatch.setattr(compiler, "SOURCES", ("train/attend.c",))
    ahead = compile_ahead()
    assert is_at_it.wait(60)
    opened = ThreadPoolExecutor(1).submit(open_library, SOURCE)
    try:
        assert opened.result(timeout=30) is not None
        assert ahead.is_alive()
    finally:
        may_end.set()
        ahead.join()


LIBRARIES_OF_THREADS = """
from pathlib import Path
from dozero.compiler import SOURCES, open_library
assert all(open_library(source) is not None for source in SOURCES)
print(len({line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "libgomp" in line}))
"""


@needs_compiler
@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="Linux tells what is loaded")
def test_our_loops_run_on_the_threads_of_torch():
    """Two libraries of OpenMP would spin on the same cores. In a process of its own: scikit-learn brings one, too."""
    done = subprocess.run([sys.executable, "-c", LIBRARIES_OF_THREADS], capture_output=True, text=True, check=True)
    assert int(done.stdout) <= 1
