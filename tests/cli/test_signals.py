"""Signals while training: the first is a request, the second leaves at once, and afterwards all is as before."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dozero.cli.signals import StopFlag, stop_on_signals

SOURCE = Path(__file__).resolve().parent.parent.parent / "src"
SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143}


def test_a_flag_begins_unset():
    assert not StopFlag()()


@pytest.mark.parametrize(("number", "code"), SIGNALS.items())
def test_the_first_signal_sets_the_flag_and_nothing_else(number, code):
    with stop_on_signals() as stop:
        assert not stop()
        signal.raise_signal(number)
        assert stop()
        assert stop.exit_code == code
    assert stop(), "it still tells afterwards"


@pytest.mark.parametrize("ends_badly", [False, True])
def test_what_signals_did_before_they_do_again(ends_badly):
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        with stop_on_signals():
            assert {number: signal.getsignal(number) for number in SIGNALS} != before
            if ends_badly:
                raise RuntimeError
    except RuntimeError:
        assert ends_badly
    assert {number: signal.getsignal(number) for number in SIGNALS} == before


SECOND = """
import signal, sys
from dozero.cli.signals import stop_on_signals

with stop_on_signals() as stop:
    signal.raise_signal(int(sys.argv[1]))
    print("saving", flush=True)
    signal.raise_signal(int(sys.argv[2]))
    print("still here")
"""


@pytest.mark.parametrize(("number", "code"), SIGNALS.items())
def test_the_second_signal_leaves_at_once_with_its_own_code(number, code):
    first = next(other for other in SIGNALS if other != number)
    ran = subprocess.run(
        [sys.executable, "-c", SECOND, str(int(first)), str(int(number))],
        env=os.environ | {"PYTHONPATH": str(SOURCE)},
        capture_output=True,
        encoding="utf-8",
        timeout=30,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (code, "saving\n", "")
