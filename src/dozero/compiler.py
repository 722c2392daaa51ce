"""C sources of ours, compiled at their first use by the C compiler of the machine, for its CPU, and kept in the cache folder.

A file there is code that runs with the rights of the user: it is opened only if nobody else can have written it.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import importlib.util
import itertools
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from functools import cache
from importlib import resources
from pathlib import Path

from dozero.hardware import read_text

SOURCES = ("train/attend.c", "train/fused.c", "train/orthogonal.c", "generate/decoder.c")
"""All there are, in the order in which a first run wants them."""
COMPILERS = ("cc", "gcc", "clang")
FLAGS = (
    *("-O3", "-std=gnu11", "-shared", "-fPIC"),
    # Not -ffast-math: it would add in another order from place to place, and round tiny numbers to zero in all the process.
    *("-fopenmp-simd", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-Wno-psabi"),
)
CPUS = ("-march=native", "-mcpu=native")
"""For all that this CPU has: compilers for x86 know the first, some of those for ARM only the second."""
THREADS = (("-fopenmp",), ())
COMPILING_S = 120
UNFINISHED = "unfinished-"
ABANDONED_S = 3600
"""After so long a folder in which something was compiled is one whose process was killed."""
WRITABLE_BY_OTHERS = 0o022


def open_library(source: str) -> ctypes.CDLL | None:
    """Return a compiled C file of this package ("generate/decoder.c"), compiled now if this machine has not yet.

    None where that cannot be done.
    """
    with _OPENING:  # one of two threads compiles, and the other finds what it made
        return _open_library(source)


def compile_ahead() -> threading.Thread:
    """Compile, in a thread beside what goes on, what `open_library` will soon be asked for; return the thread."""
    thread = threading.Thread(target=lambda: [_find_file(source) for source in SOURCES], daemon=True)
    thread.start()
    return thread


_OPENING = threading.Lock()
_COMPILING = {source: threading.Lock() for source in SOURCES}
"""One for each: who wants one file does not wait until another is made."""


@cache
def _open_library(source: str) -> ctypes.CDLL | None:
    try:
        file = _find_file(source)
        return ctypes.CDLL(str(file)) if file else None
    except OSError:
        return None


def _find_file(source: str) -> Path | None:
    """Return the compiled file, made if it is not there; None where it cannot be made, or others could change it."""
    compiler = next((path for name in COMPILERS if (path := shutil.which(name))), None)
    if compiler is None or sys.platform == "win32":
        return None
    text = read_source(source)
    folder = cache_folder()
    try:
        with _COMPILING[source]:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not is_ours_alone(folder):
                return None
            stem = f"{Path(source).stem}-{_fingerprint(compiler, text)}"
            kept = (file for file in folder.glob(f"{stem}-*.so") if is_ours_alone(file) and is_whole(file))
            return next(kept, None) or _compile(compiler, text, folder, stem)
    except (OSError, subprocess.SubprocessError):
        return None


def read_source(source: str) -> str:
    """Return a C file of this package, what it includes of ours put in its place."""
    file = resources.files("dozero") / source
    text = file.read_text(encoding="utf-8")
    for name in re.findall(r'^#include "(\w+\.h)"$', text, flags=re.MULTILINE):
        text = text.replace(f'#include "{name}"', read_source(f"{source.rpartition('/')[0]}/{name}"))
    return text


def threads_of_torch() -> Path | None:
    """Return the file of the OpenMP threads that torch brings; None where it takes the system's.

    With it our loops run on torch's own threads. Those of a second library would wait by spinning on the same cores.
    """
    spec = importlib.util.find_spec("torch")
    folders = [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []
    found = (
        file
        for folder in folders
        for place in (folder / "lib", folder.parent / "torch.libs")
        for file in place.glob("libgomp*.so*")
    )
    return min(found, default=None)


def cache_folder() -> Path:
    """Return where what is compiled is kept: DOZERO_CACHE, else dozero under XDG_CACHE_HOME or ~/.cache."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("DOZERO_CACHE") or caches / "dozero") / "native"


def is_ours_alone(path: Path) -> bool:
    """Return whether only this user, or the administrator, can have written a file or folder."""
    told = path.stat()
    return told.st_uid in (os.getuid(), 0) and not told.st_mode & WRITABLE_BY_OTHERS


def is_whole(file: Path) -> bool:
    """Return whether a file holds the bytes that its name ends with the hash of; a part of a library ends the process."""
    return file.stem.endswith(f"-{_hash(file.read_bytes())}")


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _fingerprint(compiler: str, source: str) -> str:
    """Return what tells apart the files of other sources, compilers, threads and CPUs, for which they were compiled."""
    told = subprocess.run([compiler, "--version"], capture_output=True, text=True, timeout=30, check=True).stdout
    flags = [line for line in read_text(Path("/proc/cpuinfo")).splitlines() if line.startswith(("flags", "Features"))]
    about = (source, told, " ".join(FLAGS), str(threads_of_torch()), platform.machine(), platform.processor())
    return _hash("\0".join((*about, *flags[:1])).encode())


def _compile(compiler: str, source: str, folder: Path, stem: str) -> Path:
    """Return the file that is compiled, under another name before it is whole; with OpenMP if there is."""
    _clear(folder)
    with tempfile.TemporaryDirectory(dir=folder, prefix=UNFINISHED) as name:
        written, made = Path(name) / "source.c", Path(name) / "made.so"
        written.write_text(source, encoding="utf-8")
        for threads, cpu in itertools.product(_ways_to_threads(), CPUS):
            command = [compiler, *FLAGS, cpu, "-o", str(made), str(written), *threads, "-lm"]
            done = subprocess.run(command, capture_output=True, timeout=COMPILING_S, check=False)
            if done.returncode == 0:
                made.chmod(0o700)
                return made.replace(folder / f"{stem}-{_hash(made.read_bytes())}.so")
        raise OSError(f"{compiler} cannot compile {stem}")


def _clear(folder: Path) -> None:
    """Remove what processes that were killed while they compiled left behind."""
    for left in folder.glob(f"{UNFINISHED}*"):
        with contextlib.suppress(FileNotFoundError):  # another process was faster
            if time.time() - left.stat().st_mtime > ABANDONED_S:
                shutil.rmtree(left, ignore_errors=True)


def _ways_to_threads() -> list[tuple[str, ...]]:
    """Return how a compiler may be told of threads, from the best way on: torch's, the system's, none."""
    of_torch = threads_of_torch()
    linked = [("-fopenmp", "-Wl,--as-needed", str(of_torch))] if of_torch else []
    return [*linked, *THREADS]
