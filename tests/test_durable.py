"""What durable.py promises: one holder of a folder at a time, refusals of the system in words, JSON that people read."""

import contextlib
import errno
import json
import os
import signal
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from started import python

from dozero.durable import explain_os_errors, lock, write_json
from dozero.errors import ArtifactError

HOLDER = """
import sys
from pathlib import Path
from dozero.durable import lock
with lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_second_process_is_refused_by_name_until_the_first_is_gone(tmp_path):
    folder = tmp_path / "run"
    holder = python(HOLDER, folder)
    assert holder.stdout.readline() == "held\n"
    began = time.perf_counter()
    with pytest.raises(ArtifactError, match=rf"in use.*process {holder.pid} on ") as caught, lock(folder):
        pytest.fail("two hold the lock")
    assert time.perf_counter() - began < 10, "refused at once, not waited for"
    assert caught.value.where == folder
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    with lock(folder):
        assert f"process {os.getpid()} on " in (folder / "run.lock").read_text(encoding="utf-8")


def test_refused_process_leaves_the_holders_name(tmp_path):
    with lock(tmp_path):
        for _ in range(2):
            out, err = python(HOLDER, tmp_path).communicate(input="")
            assert out == ""
            assert f"process {os.getpid()}" in err


def test_lock_is_free_after_leaving_also_by_an_error(tmp_path):
    with pytest.raises(ValueError), lock(tmp_path):
        raise ValueError
    with lock(tmp_path), pytest.raises(ArtifactError, match="in use"), lock(tmp_path):
        pytest.fail("held twice in one process")
    with lock(tmp_path):
        pass


def test_an_error_that_the_system_did_not_make_passes_as_it_is(tmp_path):
    with pytest.raises(ZeroDivisionError), explain_os_errors(tmp_path):
        _ = 1 / 0
    with (
        pytest.raises(ArtifactError, match="Permission denied") as caught,
        explain_os_errors(tmp_path / "not" / "there"),
    ):
        raise PermissionError(errno.EACCES, "Permission denied")
    assert caught.value.where == tmp_path / "not" / "there"


@given(tree=st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=10))
def test_json_comes_back_and_shows_letters_as_they_are(tmp_path_factory, tree):
    file = tmp_path_factory.mktemp("json") / "a.json"
    with contextlib.suppress(UnicodeEncodeError):  # half a surrogate pair is not text
        write_json(file, {"ã": tree})
        assert json.loads(file.read_text(encoding="utf-8")) == {"ã": tree}
        assert "ã" in file.read_text(encoding="utf-8")
