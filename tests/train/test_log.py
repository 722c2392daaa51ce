"""What log.py promises: each step once, whatever happened to the writer."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozero.errors import ArtifactError
from dozero.testing import limit_file_size
from dozero.train.log import StepLog, read_log

SOURCE = Path(__file__).resolve().parent.parent.parent / "src"
# Separators of lines elsewhere (NEL, U+2028), and what JSON escapes.
TEXTS = st.text(alphabet='ab}{"\\\n\r\t\x85  ção🙂', max_size=12)


def write(path, fields, continue_from=0):
    log = StepLog(path, continue_from)
    for line in fields:
        log.write(**line)
    log.close()


@given(texts=st.lists(TEXTS, max_size=8))
def test_what_was_written_is_read(texts, tmp_path_factory):
    path = tmp_path_factory.mktemp("log") / "a.jsonl"
    lines = [{"step": step, "text": text, "loss": step / 7} for step, text in enumerate(texts)]
    write(path, lines)
    assert read_log(path) == lines
    assert [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]] == lines, "one JSON object a line"


def test_a_last_line_cut_anywhere_is_left_out(tmp_path):
    """Also in the middle of a letter of several bytes: a full disk cuts where it likes."""
    path = tmp_path / "a.jsonl"
    lines = [{"step": 1, "text": "maçã"}, {"step": 2, "text": "a}🙂{b"}]
    write(path, lines)
    content = path.read_bytes()
    for cut in range(len(content) + 1):
        path.write_bytes(content[:cut])
        whole = lines[: content[:cut].count(b"\n")]
        assert read_log(path) == whole
        write(path, [{"step": 99, "text": "ã"}], continue_from=98)
        assert read_log(path) == [*whole, {"step": 99, "text": "ã"}]


@given(steps=st.lists(st.integers(0, 30), max_size=20).map(sorted), continue_from=st.integers(-1, 31))
def test_a_continued_log_is_cut_back_to_the_step_it_continues_from(steps, continue_from, tmp_path_factory):
    path = tmp_path_factory.mktemp("log") / "a.jsonl"
    write(path, [{"step": step, "n": n} for n, step in enumerate(steps)], continue_from=-1)
    before = path.read_bytes().splitlines(keepends=True)
    StepLog(path, continue_from).close()
    kept = sum(step <= continue_from for step in steps)
    assert path.read_bytes() == b"".join(before[:kept]), "byte for byte"


def test_continuing_twice_is_continuing_once(tmp_path):
    path = tmp_path / "a.jsonl"
    write(path, [{"step": step} for step in range(6)])
    write(path, [{"step": 4}, {"step": 5}], continue_from=3)
    once = path.read_bytes()
    write(path, [{"step": 4}, {"step": 5}], continue_from=3)
    assert path.read_bytes() == once == b"".join(b'{"step": %d}\n' % step for step in range(6))


def test_a_log_that_is_not_there_is_empty(tmp_path):
    assert read_log(tmp_path / "none.jsonl") == []
    StepLog(tmp_path / "new.jsonl", 0).close()
    assert (tmp_path / "new.jsonl").read_bytes() == b""
    assert sorted(p.name for p in tmp_path.iterdir()) == ["new.jsonl"], "no temporary file is left"


def test_a_line_can_be_read_as_soon_as_it_is_written(tmp_path):
    log = StepLog(tmp_path / "a.jsonl", 0)
    log.write(step=1, text="é")
    assert read_log(tmp_path / "a.jsonl") == [{"step": 1, "text": "é"}]
    log.sync()
    log.close()


def test_a_killed_writer_leaves_every_line_it_wrote(tmp_path):
    code = f"""
import os
from pathlib import Path
from dozero.train.log import StepLog
log = StepLog(Path({str(tmp_path / "a.jsonl")!r}), 0)
for step in range(1000):
    log.write(step=step, text="ã" * step)
os.kill(os.getpid(), 9)
"""
    killed = subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(SOURCE)})
    assert killed.returncode == -9
    assert [line["step"] for line in read_log(tmp_path / "a.jsonl")] == list(range(1000))


def test_a_full_disk_is_one_error_and_later_the_log_goes_on(tmp_path):
    path = tmp_path / "a.jsonl"
    log = StepLog(path, 0)
    written = []

    def write_until_it_fails():
        while True:
            log.write(step=len(written), text="coração")
            written.append(len(written))

    with limit_file_size(1000), pytest.raises(ArtifactError, match="cannot be written"):
        write_until_it_fails()
    assert len(written) > 20
    assert [line["step"] for line in read_log(path)] == written
    log.close()
    write(path, [{"step": len(written)}], continue_from=len(written) - 1)
    assert [line["step"] for line in read_log(path)] == [*written, len(written)]


def test_closing_while_the_disk_is_full_is_no_second_error(tmp_path):
    """A loop that ends because of one log closes all of them: an error there would hide the first."""
    log = StepLog(tmp_path / "a.jsonl", 0)
    with limit_file_size(10):
        with pytest.raises(ArtifactError, match="cannot be written"):
            log.write(step=1, text="coração")
        log.close()


@pytest.mark.parametrize("line", ["\x00" * 40 + "}", "{}", "[1]", '{"step": "1"}', '{"step": 1', "7", "\xff}"])
def test_what_is_no_line_of_a_log_is_left_out(line, tmp_path):
    """After a power failure a file may hold zeros where its last lines were."""
    path = tmp_path / "a.jsonl"
    write(path, [{"step": 1}])
    path.write_bytes(path.read_bytes() + line.encode("latin-1") + b"\n")
    assert read_log(path) == [{"step": 1}]
    write(path, [{"step": 2}], continue_from=1)
    assert path.read_bytes() == b'{"step": 1}\n{"step": 2}\n'
