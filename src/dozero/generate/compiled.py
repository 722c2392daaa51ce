"""`decoder.c`, compiled at its first use by the C compiler of the machine, for its CPU, and kept in the cache folder.

A file there is code that runs with the rights of the user: it is opened only if nobody else can have written it.
"""

from __future__ import annotations

import ctypes
import hashlib
import itertools
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from importlib import resources
from pathlib import Path

from dozero.hardware import read_text

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
WRITABLE_BY_OTHERS = 0o022


@cache
def open_library() -> ctypes.CDLL | None:
    """Return the compiled decoder.c, compiled now if this machine has not yet; None where that cannot be done."""
    compiler = next((path for name in COMPILERS if (path := shutil.which(name))), None)
    if compiler is None or sys.platform == "win32":
        return None
    source = (resources.files("dozero") / "generate" / "decoder.c").read_text(encoding="utf-8")
    try:
        file = cache_folder() / f"decoder-{_fingerprint(compiler, source)}.so"
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _compile(compiler, source, file)
        if not (is_ours_alone(file.parent) and is_ours_alone(file)):
            return None
        library = ctypes.CDLL(str(file))
    except (OSError, subprocess.SubprocessError):
        return None
    p, n = ctypes.c_void_p, ctypes.c_int64
    library.room.argtypes, library.room.restype = [p, n], n
    library.advance.argtypes, library.advance.restype = [p, n, p, p, p, p, n, n, n, p, p, p], None
    return library


def cache_folder() -> Path:
    """Return where what is compiled is kept: DOZERO_CACHE, else dozero under XDG_CACHE_HOME or ~/.cache."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("DOZERO_CACHE") or caches / "dozero") / "native"


def is_ours_alone(path: Path) -> bool:
    """Return whether only this user, or the administrator, can have written a file or folder."""
    told = path.stat()
    return told.st_uid in (os.getuid(), 0) and not told.st_mode & WRITABLE_BY_OTHERS


def _fingerprint(compiler: str, source: str) -> str:
    """Return what tells apart the files of other sources, compilers and CPUs, for which they were compiled."""
    told = subprocess.run([compiler, "--version"], capture_output=True, text=True, timeout=30, check=True).stdout
    flags = [line for line in read_text(Path("/proc/cpuinfo")).splitlines() if line.startswith(("flags", "Features"))]
    about = (source, told, " ".join(FLAGS), platform.machine(), platform.processor(), *flags[:1])
    return hashlib.sha256("\0".join(about).encode()).hexdigest()[:16]


def _compile(compiler: str, source: str, file: Path) -> None:
    """Compile to a file of another name and rename it, so that it is there whole or not at all; with OpenMP if there is."""
    with tempfile.TemporaryDirectory(dir=file.parent) as name:
        written, made = Path(name) / "decoder.c", Path(name) / "decoder.so"
        written.write_text(source, encoding="utf-8")
        for threads, cpu in itertools.product(THREADS, CPUS):
            command = [compiler, *FLAGS, cpu, *threads, "-o", str(made), str(written), "-lm"]
            done = subprocess.run(command, capture_output=True, timeout=COMPILING_S, check=False)
            if done.returncode == 0:
                made.chmod(0o700)
                made.replace(file)
                return
        raise OSError(f"{compiler} cannot compile the decoder")
