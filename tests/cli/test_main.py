"""What every verb owes its user: help, exit codes, and one line for anything they can put right, nothing being changed."""

import gc
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import typer

import dozero
import dozero.cli.main as module
from dozero.cli.main import VERBS, app, main
from dozero.errors import DataError, Interrupted
from dozero.pipeline.report import describe
from dozero.testing import WORDS, tiny_workspace

SOURCE = Path(__file__).resolve().parent.parent.parent / "src"
AS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


@pytest.fixture
def command(monkeypatch, capsys):
    """A function that runs the command line in this process: (exit code, stdout, stderr)."""
    monkeypatch.setenv("GOMP_SPINCOUNT", "20000")  # main sets it where it is not set, for good
    threshold = gc.get_threshold()

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["dozero", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as left:
            code = left.code
        return code, *capsys.readouterr()

    yield run
    gc.set_threshold(*threshold)


def raising(error):
    """Stands in for the verbs: what main does with an error does not depend on where it came from."""

    def app(*_arguments, **_options):
        raise error

    return app


# --- help and version --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_help_names_every_verb_and_where_to_start(command, arguments):
    code, out, err = command(*arguments)
    assert (code, err) == (0, "")
    assert "dozero hello" in out
    told = {line.split()[0] for line in out.splitlines() if line.startswith("  ") and line.split()}
    assert set(VERBS) <= told


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself_and_all_its_options(command, verb):
    code, out, err = command(verb, "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"Usage: dozero {verb}")
    for parameter in typer.main.get_command(app).commands[verb].params:
        assert parameter.help, parameter.name
        assert max(parameter.opts, key=len).removeprefix("--").split("=")[0].lower() in out.lower()


def test_the_version(command):
    assert command("--version") == (0, f"dozero {dozero.__version__}\n", "")


# --- exit codes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            DataError("no words", where="x.txt", next="another file"),
            (2, "dozero: x.txt: no words. Try: another file\n"),
        ),
        (Interrupted(130), (130, "")),
        (Interrupted(143), (143, "")),
        (KeyboardInterrupt(), (130, "")),
    ],
    ids=["mistake", "interrupted", "killed", "ctrl-c"],
)
def test_each_way_to_end_has_its_code(command, monkeypatch, error, expected):
    monkeypatch.setattr(module, "app", raising(error))
    code, out, err = command("hello")
    assert (code, err) == expected
    assert out == ""


def test_a_bug_of_ours_is_not_dressed_up(command, monkeypatch):
    monkeypatch.setattr(module, "app", raising(ZeroDivisionError("ours")))
    with pytest.raises(ZeroDivisionError, match="ours"):
        command("hello")


def test_with_debug_the_traceback_of_a_mistake_is_shown(run_dozero, tmp_path):
    ran = run_dozero("--debug", "new", "x", "--preset", "wrods", cwd=tmp_path)
    assert ran.returncode == 1
    assert "Traceback" in ran.stderr
    assert "ConfigError: unknown preset, did you mean words?" in ran.stderr


def test_a_reader_that_leaves_is_no_error(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-m", "dozero", "new", tmp_path / "ws"],
        env=os.environ | {"PYTHONPATH": str(SOURCE)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert (tmp_path / "ws/run.toml").exists()


def test_a_terminal_that_lacks_letters_shows_something_for_them(run_dozero, tmp_path):
    ran = run_dozero("new", "語 █", "--lang", "pt", cwd=tmp_path, env={"PYTHONIOENCODING": "latin-1"})
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "feito: ? ?/run.toml" in ran.stdout


# --- one line for every mistake, and nothing changed -------------------------------------------------------------


@pytest.fixture(scope="module")
def original(tmp_path_factory, run_dozero):
    """A folder with a trained workspace and all kinds of things to mistake for one another."""
    shelf = tmp_path_factory.mktemp("shelf")
    tiny_workspace(shelf / "ws")
    trained = run_dozero("train", "ws/run.toml", cwd=shelf)
    assert trained.returncode == 0, trained.stderr
    tiny_workspace(shelf / "new")
    (shelf / "words.txt").write_text("\n".join(WORDS))
    (shelf / "empty.txt").write_text("")
    (shelf / "blank.txt").write_text(" \n\n\t\n")
    (shelf / "latin.txt").write_bytes("casa\nnada\nmaçã\n".encode("latin-1"))
    (shelf / "folder").mkdir()
    (shelf / "foreign").mkdir()
    (shelf / "foreign/thesis.txt").write_text("years of work")
    for name, text in {
        "misspelt": "[train]\nstepz = 3\n",
        "broken": "[train\n",
        "wrong": 'extends = "wrods"\n',
        "past": "[train]\nsteps = 0\n",
    }.items():
        (shelf / name).mkdir()
        (shelf / name / "run.toml").write_text(text)
    return shelf


@pytest.fixture
def shelf(original, tmp_path, monkeypatch):
    """A copy of that folder, and this process in it."""
    monkeypatch.chdir(shutil.copytree(original, tmp_path / "shelf"))
    return Path.cwd()


def listing(folder):
    """Everything below a folder, with what it holds. A lock's file tells its last holder, which is not content."""
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() if p.is_file() and p.name != "run.lock" else None
        for p in folder.rglob("*")
    }


def assert_refused(answer, told):
    """One line on stderr, code 2, no traceback anywhere; stdout may hold what came before."""
    code, out, err = answer
    assert code == 2, (out, err)
    assert err.startswith("dozero: ")
    assert err.count("\n") == 1, err
    assert err.endswith("\n")
    assert "Traceback" not in out + err
    assert re.search(told, err), err


MISTAKES = {
    "no-such-verb": ("helo", r"no such command 'helo'.*Try: dozero --help"),
    "no-such-option": ("hello --nope", r"no such option.*--nope.*Try: dozero hello --help"),
    "no-argument": ("generate", r"missing argument.*Try: dozero generate --help"),
    "too-many-arguments": ("inspect ws new", r"unexpected extra argument.*Try: dozero inspect --help"),
    "option-without-value": ("hello --lang", r"--lang.*requires an argument.*Try: dozero hello --help"),
    "unknown-language": ("hello --lang xx", r"no word list for this language; expected one of ar .*; got 'xx'"),
    "misspelt-language": ("hello --lang ptt", r"no word list for this language, did you mean pt\?"),
    "language-of-a-workspace": ("new x --lang ptt", r"no word list for this language, did you mean pt\?"),
    "unknown-thing-to-learn": ("hello storys", r"expected words or stories; got 'storys'"),
    "empty-words": ("hello --words empty.txt", r"empty\.txt: holds no words; expected .*one word a line"),
    "blank-words": ("hello --words blank.txt", r"blank\.txt: holds no words"),
    "folder-as-words": ("hello --words folder", r"folder: cannot be read \(Is a directory\)"),
    "no-words": ("hello --words nowhere.txt", r"nowhere\.txt: no such word file"),
    "latin-words": ("hello --words latin.txt", r"latin\.txt, line 3: not UTF-8; .*Try: iconv"),
    "minutes-zero": ("hello --minutes 0", r"--minutes: must be more than 0; got 0"),
    "minutes-negative": ("hello --minutes=-1", r"--minutes: must be more than 0; got -1"),
    "minutes-nan": ("train ws/run.toml --minutes nan", r"--minutes: must be more than 0; got nan"),
    "minutes-text": ("hello --minutes abc", r"invalid value for '--minutes'.*Try: dozero hello --help"),
    "seed-text": ("hello --seed x", r"invalid value for '--seed'"),
    "misspelt-override": ("train ws/run.toml train.stepz=3", r"unknown setting train\.stepz, did you mean steps\?"),
    "misspelt-section": ("train ws/run.toml trian.steps=3", r"unknown setting trian, did you mean train\?"),
    "no-override": ("train ws/run.toml steps", r"steps: not a setting; expected section\.key=value"),
    "value-past-its-limit": ("run ws/run.toml train.steps=0", r"train\.steps: .*got 0"),
    "misspelt-in-file": ("train misspelt/run.toml", r"misspelt/run\.toml: unknown setting train\.stepz, did you mean steps"),
    "misspelt-in-workspace": ("hello --out misspelt", r"misspelt/run\.toml: unknown setting train\.stepz"),
    "limit-in-file": ("train past/run.toml", r"past/run\.toml: train\.steps: .*got 0"),
    "no-toml": ("train broken/run.toml", r"broken/run\.toml: not valid TOML: .*line 1"),
    "preset-in-file": ("train wrong/run.toml", r"wrong/run\.toml: unknown preset, did you mean words\?"),
    "no-run-file": ("train nowhere/run.toml", r"nowhere/run\.toml: no such file; .*|no such file\. Try: dozero new"),
    "no-run-file-here": ("run", r"run\.toml: no such file"),
    "folder-without-run-file": ("train foreign", r"foreign/run\.toml: no such file"),
    "wrong-preset": ("new x --preset wrods", r"unknown preset, did you mean words\?; expected stories or text or words; got wrods"),
    "new-over-something": ("new foreign", r"foreign: is not empty, so it is left alone"),
    "new-over-a-file": ("new words.txt", r"words\.txt: is not empty, so it is left alone|words\.txt: .*not a folder"),
    "new-below-a-file": ("new words.txt/ws", r"words\.txt/ws: cannot be written"),
    "out-holds-other-things": ("hello --out foreign", r"foreign: is not empty, so it is left alone"),
    "out-is-a-file": ("hello --out words.txt", r"words\.txt: .*left alone"),
    "out-below-a-file": ("hello --out words.txt/ws", r"words\.txt/ws.*: cannot be written"),
    "other-settings": ("train ws/run.toml seed=5", r"made with other settings; expected seed = 0; got seed = 5"),
    "run-name-outside": ("train ws/run.toml --name ../x", r"not a run name; .*got '\.\./x'"),
    "run-name-empty": ("train ws/run.toml --name=", r"not a run name"),
    "unknown-letters": ("generate ws xyz", r"characters that the model never saw; .*got 'xyz'"),
    "prompt-too-long": ("generate ws " + "ba" * 9, r"prompt is longer than the context; expected 14 tokens or fewer; got 18"),
    "negative-temperature": ("generate ws --temperature=-1", r"generate\.temperature: .*got -1"),
    "no-texts": ("generate ws -n 0", r"invalid value for '-n'.*Try: dozero generate --help"),
    "no-model": ("generate new", r"new: holds no model yet\. Try: dozero train new/run\.toml"),
    "no-folder": ("generate nowhere", r"nowhere: no such folder"),
    "foreign-folder": ("inspect foreign", r"foreign: not a folder that dozero wrote"),
    "file-to-inspect": ("inspect words.txt", r"words\.txt: not a folder that dozero wrote"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_and_changes_nothing(command, shelf, mistake):
    line, told = MISTAKES[mistake]
    before = listing(shelf)
    assert_refused(command(*line.split(" ")), told)
    assert listing(shelf) == before


@pytest.mark.parametrize("line", ["hello --lang ptt", "new x --preset wrods", "helo"])
def test_it_is_so_in_a_process_of_its_own(run_dozero, shelf, line):
    before = listing(shelf)
    ran = run_dozero(*line.split(), cwd=shelf)
    assert_refused((ran.returncode, ran.stdout, ran.stderr), "did you mean|Did you mean")
    assert listing(shelf) == before


@pytest.mark.parametrize("line", ["hello --lang xx", "train ws/run.toml seed=5", "generate ws xyz", "inspect foreign"])
def test_as_json_too(command, shelf, line):
    code, out, err = command(*line.split(), "--json")
    assert_refused((code, out, err), "dozero: ")
    assert all(json.loads(text) for text in out.splitlines())


@pytest.mark.skipif(AS_ROOT, reason="root may read every file, whatever its mode")
def test_a_word_file_one_may_not_read(command, shelf):
    (shelf / "words.txt").chmod(0)
    assert_refused(command("hello", "--words", "words.txt"), r"words\.txt: cannot be read \(Permission denied\)")
    assert not (shelf / "dozero-words-words").exists()


def test_a_model_that_is_damaged(command, shelf):
    weights = shelf / "ws/runs/main/model/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    before = listing(shelf)
    assert_refused(command("generate", "ws"), r"model\.safetensors: .*cannot be read")
    assert_refused(command("hello", "--out", "ws"), r"model\.safetensors: .*cannot be read")
    after = listing(shelf)
    assert after == before


# --- a folder that somebody else is using ------------------------------------------------------------------------

HOLD = """
import sys
from pathlib import Path
from dozero.durable import lock

with lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held_by_another_process(folder):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        env=os.environ | {"PYTHONPATH": str(SOURCE)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout.readline() == b"held\n"
        yield process.pid
        process.stdin.close()


@pytest.mark.parametrize(
    ("folder", "line"),
    [
        ("new/work", "hello --out new"),
        ("ws/work", "train ws/run.toml --name other"),
        ("ws/runs/main", "train ws/run.toml"),
        ("ws/runs/main", "train ws/run.toml --fresh"),
        ("ws/runs/main", "hello --out ws --fresh"),
    ],
)
def test_a_folder_in_use_is_left_to_who_uses_it(command, shelf, folder, line):
    with held_by_another_process(shelf / folder) as pid:
        before = listing(shelf)
        assert_refused(
            command(*line.split()), rf"{folder}: in use by another process; got process {pid} on .*Try: wait"
        )
        assert listing(shelf) == before


# --- disks -------------------------------------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path):
    """A function that makes a disk of this many kilobytes, mounted at a path, or says why it cannot."""
    place = tmp_path / "disk"

    def mount(kilobytes, *options):
        place.mkdir(exist_ok=True)
        size = ",".join((f"size={kilobytes}k", *options))
        try:
            made = subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", place], capture_output=True, timeout=30)
        except OSError as error:
            pytest.skip(f"no small disk to be had: {error}")
        if made.returncode:
            pytest.skip(f"no small disk to be had: {made.stderr.decode().strip()}")
        return place

    yield mount
    if place.is_mount():
        subprocess.run(["umount", place], check=True, timeout=30)


@pytest.mark.parametrize("kilobytes", [0, 8, 24, 56, 72, 88, 136])
def test_a_full_disk_is_told_and_nothing_is_lost(command, disk, original, kilobytes):
    place = disk(4000)
    folder, filler = place / "ws", place / "holiday.mp4"
    folder.mkdir()
    shutil.copy(original / "new/run.toml", folder)
    filler.write_bytes(bytes(shutil.disk_usage(place).free - kilobytes * 1024))
    code, out, err = command("hello", "--out", folder, "--lang", "en")
    assert code == 2, (out, err)
    *progress, last = err.splitlines()
    told = rf"dozero: {folder}/.*: cannot be written: .*No space left on device.*; got [\d.]+ MB free\. Try: free some space .*"
    assert re.fullmatch(told, last)
    assert not [line for line in progress if "exam" not in line]
    assert not list(folder.rglob(".writing-*"))
    for name, stage in describe(folder)["stages"].items():
        assert stage == "not made" or stage["intact"], name
    filler.unlink()
    code, out, err = command("hello", "--out", folder, "--lang", "en")
    assert (code, out.count("\n   10. ")) == (0, 1), err
    weights = "runs/main/model/model.safetensors"
    assert (folder / weights).read_bytes() == (original / "ws" / weights).read_bytes()


def test_a_parent_that_is_read_only(command, disk, tmp_path, shelf):
    if AS_ROOT:
        place = disk(100)
        subprocess.run(["mount", "-o", "remount,ro", place], check=True, timeout=30)
    else:
        place = tmp_path / "read only"
        place.mkdir(mode=0o555)
    for line in (["new", place / "x"], ["hello", "--words", "words.txt", "--out", place / "x"]):
        assert_refused(command(*line), r"/x: cannot be written: (Read-only file system|Permission denied)")
    assert list(place.iterdir()) == []
    assert not (shelf / "dozero-words-words").exists()


def test_the_words_of_a_model_on_a_disk_one_may_not_write(command, disk, shelf):
    if not AS_ROOT:
        pytest.skip("needs a disk mounted read-only")
    place = disk(1000)
    shutil.copytree(shelf / "ws", place / "ws")
    subprocess.run(["mount", "-o", "remount,ro", place], check=True, timeout=30)
    assert command("generate", place / "ws")[0] == 0
    assert_refused(command("hello", "--out", place / "ws"), r"sampled: cannot be written: Read-only file system")
