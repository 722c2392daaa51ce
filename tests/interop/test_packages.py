"""Packages of others are there, or the line that installs them is told; and pyproject knows each."""

import sys
import tomllib
from pathlib import Path

import pytest

from dozero.errors import MissingExtra
from dozero.interop.packages import EXTRA_OF, need

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


@pytest.mark.parametrize("package", EXTRA_OF)
def test_a_package_is_returned_or_its_extra_named(package, monkeypatch):
    assert need(package).__name__ == package
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=rf'package {package},.* pip install "dozero\[{EXTRA_OF[package]}\]"'):
        need(package)


def test_each_extra_installs_its_package():
    extras = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for package, extra in EXTRA_OF.items():
        assert any(line.partition(">")[0] == package for line in extras[extra]), package
        assert extra in next(line for line in extras["test"] if line.startswith("dozero["))
