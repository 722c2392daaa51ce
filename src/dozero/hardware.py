"""What this machine is, as its operating system tells it: cores, memory and their limits, the CPU's name.

Reads only; needs nothing but Python. Containers are seen through: a cgroup's quota counts as the machine's size.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

CGROUP_ROOT, CGROUP_MEMBERSHIP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
CPU_SYSFS = Path("/sys/devices/system/cpu")


def usable_cores() -> int:
    """Return how many physical cores this process may use, by its affinity and its container's quota; at least 1.

    Hyperthreads share the multipliers of their core, so that a second thread there only adds waiting. On Apple
    silicon it is the fast cores that count: a product split evenly waits for the slowest part.
    """
    if sys.platform == "darwin":
        return int(_sysctl("hw.perflevel0.physicalcpu") or _sysctl("hw.physicalcpu") or os.cpu_count() or 1)
    if hasattr(os, "sched_getaffinity"):
        cores = physical_cores(os.sched_getaffinity(0))
    else:
        import torch  # asks the CPU itself; only where the system has no such list

        capabilities = getattr(torch.cpu, "get_capabilities", dict)()
        cores = int(capabilities.get("num_physical_cores") or os.cpu_count() or 1)
    return max(1, min(cores, math.floor(min(cpu_quota(), cores))))


def physical_cores(cpus: set[int], sysfs: Path = CPU_SYSFS) -> int:
    """Return how many physical cores a set of logical CPUs lies on, by the sibling lists of Linux."""
    return len({read_text(sysfs / f"cpu{cpu}/topology/thread_siblings_list") or str(cpu) for cpu in cpus})


def cpu_quota(root: Path = CGROUP_ROOT, membership: Path = CGROUP_MEMBERSHIP) -> float:
    """Return how many CPUs' worth of time the control groups of this process allow; inf if they set no limit."""
    quota = math.inf
    for folder in _cgroup_folders("cpu", root, membership):
        v1 = [read_text(folder / "cpu.cfs_quota_us"), read_text(folder / "cpu.cfs_period_us")]
        allowed_us, period_us = read_text(folder / "cpu.max").split() or v1
        if re.fullmatch(r"[1-9]\d*", allowed_us) and re.fullmatch(r"[1-9]\d*", period_us):  # not "max", "-1" or absent
            quota = min(quota, int(allowed_us) / int(period_us))
    return quota


def _cgroup_folders(controller: str, root: Path, membership: Path) -> Iterator[Path]:
    """Yield the folders that limit this process, its own group first, then each one around it (cgroup v1 and v2)."""
    for line in read_text(membership).splitlines():
        _, controllers, group = line.split(":", 2)
        if controllers not in ("", controller) and controller not in controllers.split(","):
            continue
        for base in (root, root / "unified") if controllers == "" else (root / controllers, root / controller):
            folder = base / group.lstrip("/")
            yield folder
            # In a container the path may be the host's: then only the root of the mount exists.
            yield from (parent for parent in folder.parents if parent == base or base in parent.parents)


def total_memory_bytes() -> int:
    """Return the memory of this machine, or of the container if that is less."""
    return min(_system_memory_bytes()[0], *(limit for limit, _ in _cgroup_memory()), sys.maxsize)


def available_memory_bytes() -> int:
    """Return what this process can still allocate without swapping, within the limit of its container."""
    return max(0, min(_system_memory_bytes()[1], *(limit - used for limit, used in _cgroup_memory()), sys.maxsize))


def resident_memory_bytes() -> int | None:
    """Return the memory that this process holds now (on macOS the most it held so far); None where nobody tells."""
    pages = read_text(Path("/proc/self/statm")).split()
    if len(pages) > 1:
        return int(pages[1]) * os.sysconf("SC_PAGE_SIZE")
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return None


def _cgroup_memory(root: Path = CGROUP_ROOT, membership: Path = CGROUP_MEMBERSHIP) -> list[tuple[int, int]]:
    """Return (limit, used) in bytes of each control group that limits memory; file cache does not count as used."""
    pairs = []
    for folder in _cgroup_folders("memory", root, membership):
        for limit_name, used_name in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            limit, used = read_text(folder / limit_name), read_text(folder / used_name)
            if limit.isdigit() and used.isdigit():
                cache = re.search(
                    r"^(?:total_)?inactive_file (\d+)", read_text(folder / "memory.stat"), flags=re.MULTILINE
                )
                pairs.append((int(limit), int(used) - (int(cache[1]) if cache else 0)))
    return pairs


def _system_memory_bytes() -> tuple[int, int]:
    """Return (total, available) as the operating system counts them."""
    if sys.platform == "darwin":
        pages = dict(re.findall(r"^Pages (\w+).*?:\s+(\d+)", _run("vm_stat"), flags=re.MULTILINE))
        available_pages = sum(int(pages.get(kind, 0)) for kind in ("free", "inactive", "speculative", "purgeable"))
        return int(_sysctl("hw.memsize") or 0), available_pages * os.sysconf("SC_PAGE_SIZE")
    if sys.platform == "win32":
        status = (ctypes.c_uint64 * 8)(64)  # MEMORYSTATUSEX: dwLength and dwMemoryLoad share the first word
        ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))
        return status[1], status[2]
    page, total = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_PHYS_PAGES")
    available = re.search(r"^MemAvailable:\s+(\d+) kB", read_text(Path("/proc/meminfo")), flags=re.MULTILINE)
    return total * page, int(available[1]) * 1024 if available else os.sysconf("SC_AVPHYS_PAGES") * page


def cpu_name() -> str:
    """Return what the processor calls itself."""
    if sys.platform == "darwin":
        return _sysctl("machdep.cpu.brand_string") or platform.machine()
    listed = re.search(r"^model name\s*:\s*(.+)$", read_text(Path("/proc/cpuinfo")), flags=re.MULTILINE)
    return listed[1].strip() if listed else platform.processor() or platform.machine()


def read_text(path: Path) -> str:
    """Return the text of a file of the system, stripped; "" if it is not there or not ours to read."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def _sysctl(name: str) -> str:
    """Return a figure of the macOS kernel, or ""."""
    return _run("sysctl", "-n", name)


def _run(*command: str) -> str:
    """Return what a command of the system prints, or "" if it fails."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
    return ""
