"""What hardware.py reads: limits of real and planted machines."""

import math
import mmap

from dozero import hardware as module
from dozero.hardware import (
    available_memory_bytes,
    cpu_name,
    cpu_quota,
    physical_cores,
    total_memory_bytes,
    usable_cores,
)

# --- what is in the machine ----------------------------------------------------------------------------------------------


def write(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(f"{text}\n")


def test_quota_is_the_tightest_of_the_groups_around_us_v2(tmp_path):
    root, membership = tmp_path / "cgroup", tmp_path / "membership"
    membership.write_text("0::/pod/box\n")
    assert cpu_quota(root, membership) == math.inf
    write(root / "pod" / "box", cpu__max="max 100000")
    assert cpu_quota(root, membership) == math.inf
    write(root / "pod", cpu__max="150000 100000")
    assert cpu_quota(root, membership) == 1.5
    write(root / "pod" / "box", cpu__max="50000 100000")
    assert cpu_quota(root, membership) == 0.5


def test_quota_v1_also_where_the_container_sees_only_the_root(tmp_path):
    root, membership = tmp_path / "cgroup", tmp_path / "membership"
    membership.write_text("4:cpu,cpuacct:/docker/0123abcd\n3:memory:/docker/0123abcd\n")
    write(root / "cpu,cpuacct", cpu__cfs_quota_us="-1", cpu__cfs_period_us="100000")
    assert cpu_quota(root, membership) == math.inf
    write(root / "cpu,cpuacct", cpu__cfs_quota_us="300000")
    assert cpu_quota(root, membership) == 3.0


def test_memory_limits_count_file_cache_as_free(tmp_path):
    root, membership = tmp_path / "cgroup", tmp_path / "membership"
    membership.write_text("0::/box\n")
    write(root / "box", memory__max="1000", memory__current="700", memory__stat="anon 400\ninactive_file 300")
    write(root, memory__max="max", memory__current="5000")
    assert module._cgroup_memory(root, membership) == [(1000, 400)]


def test_hyperthreads_of_one_core_count_once(tmp_path):
    for cpu, siblings in enumerate(["0,2", "1,3", "0,2", "1,3"]):
        write(tmp_path / f"cpu{cpu}" / "topology", thread_siblings_list=siblings)
    assert physical_cores({0, 1, 2, 3}, tmp_path) == 2
    assert physical_cores({0, 2}, tmp_path) == 1
    assert physical_cores({0, 1, 2, 3}, tmp_path / "unknown") == 4


def test_the_machine_has_cores_memory_and_a_name():
    assert 1 <= usable_cores() <= 4096
    assert 0 < available_memory_bytes() <= total_memory_bytes()
    assert cpu_name().strip()


def test_the_memory_of_this_process_grows_with_what_it_holds():
    """Pages that the process never had: what malloc gives may be memory that it kept from before."""
    before, size = module.resident_memory_bytes(), 64 << 20
    with mmap.mmap(-1, size) as held:
        held.write(b"x" * size)
        after = module.resident_memory_bytes()
    assert before is not None
    assert after >= before + size // 2
    assert after < total_memory_bytes()
