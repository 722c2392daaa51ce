"""What every test stands on: shapes checked at run time, one thread, no network, no locale but C."""

import importlib.metadata
import ipaddress
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import hypothesis
import jaxtyping
import pytest
from type_checks import check_shapes_and_types_of

ROOT = Path(__file__).resolve().parent.parent
PINNED_ENVIRONMENT = {
    "COLUMNS": "120",  # the width of help and tables
    "DOZERO_CACHE": f"{tempfile.gettempdir()}/dozero-tests-{os.getpid()}",  # what is measured in tests is no figure of this machine
    "GOMP_SPINCOUNT": "20000",  # threads that wait for each other hand the core on: the other test process wants it
    "HF_HUB_OFFLINE": "1",
    "LANG": "C.UTF-8",
    "NO_COLOR": "1",
    "OMP_NUM_THREADS": "1",  # two test processes share two cores; subprocesses inherit it
    "TERM": "dumb",
    "TOKENIZERS_PARALLELISM": "false",
}
# LC_* and LANGUAGE would overrule LANG; the others make rich and Typer write colours into pipes.
REMOVED_ENVIRONMENT = (
    "LC_ALL",
    "LC_MESSAGES",
    "LC_CTYPE",
    "LANGUAGE",
    "FORCE_COLOR",
    "GITHUB_ACTIONS",
    "CLICOLOR_FORCE",
)


def pin_environment():
    os.environ.update(PINNED_ENVIRONMENT)
    for name in REMOVED_ENVIRONMENT:
        os.environ.pop(name, None)


# Both must happen before dozero, torch or rich is imported, hence here and not in a fixture.
pin_environment()
check_shapes_and_types_of("dozero")
# The same examples on every run, so that a failure is always about the change at hand; no deadline, since machines differ.
hypothesis.settings.register_profile("dozero", deadline=None, derandomize=True, max_examples=50)
hypothesis.settings.load_profile("dozero")


def pytest_report_header():
    versions = (f"{name} {importlib.metadata.version(name)}" for name in ("torch", "numpy", "jaxtyping", "beartype"))
    return "versions: " + ", ".join(versions)


def pytest_collection_modifyitems(items):
    on_gpu = [item for item in items if item.get_closest_marker("gpu")]
    if not on_gpu:
        return
    import torch

    if not torch.cuda.is_available():
        for item in on_gpu:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


def is_this_machine(host):
    """Whether a host, as sockets take it (name, address, bytes or None), is the machine the tests run on."""
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost", "0.0.0.0", "::", socket.gethostname()):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def only_at_home(function, host_of):
    def guarded(*args, **kwargs):
        host = host_of(*args)
        if not is_this_machine(host):
            # Not an Exception, so that code which survives being offline cannot swallow it.
            pytest.fail(f"a test reached for the network: {host!r}", pytrace=True)
        return function(*args, **kwargs)

    return guarded


def host_of_address(sock, *args):
    address = args[-1]
    return address[0] if sock.family in (socket.AF_INET, socket.AF_INET6) else None


@pytest.fixture(scope="session", autouse=True)
def _offline():
    """Sockets reach only this machine."""
    with pytest.MonkeyPatch.context() as patch:
        for method in ("connect", "connect_ex", "sendto"):
            patch.setattr(socket.socket, method, only_at_home(getattr(socket.socket, method), host_of_address))
        patch.setattr(socket, "getaddrinfo", only_at_home(socket.getaddrinfo, lambda host, *_: host))
        yield


@pytest.fixture(autouse=True)
def _torch_settings_restored():
    """Global settings of torch that a test changed do not reach the next one; torch is not imported for it."""
    yield
    torch = sys.modules.get("torch")
    if torch is None:
        return
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float32)
    torch.use_deterministic_algorithms(False)
    if torch.get_float32_matmul_precision() != "highest":
        torch.set_float32_matmul_precision("highest")


@pytest.fixture
def shapes_unchecked():
    """Shapes go unchecked: torch.compile and torch.export trace through the checks and trip over them."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="session")
def run_dozero():
    """A function that runs the command line in a process of its own and returns what it said."""

    def run(*arguments, cwd=None, env=None, timeout_s=120):
        return subprocess.run(
            [sys.executable, "-m", "dozero", *map(str, arguments)],
            cwd=cwd,
            env=os.environ | {"PYTHONPATH": str(ROOT / "src")} | (env or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=timeout_s,
        )

    return run
