"""What `import dozero` promises: a public list of names, each found when asked for, and nothing loaded before."""

import ast
import importlib
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import dozero

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ("torch", "numpy", "pydantic", "safetensors", "wordfreq", "typer", "rich", "jaxtyping", "transformers")


def python(code):
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


@pytest.mark.parametrize("name", dozero.__all__)
def test_every_public_name_resolves_to_the_one_of_its_module(name):
    value = getattr(dozero, name)
    assert value is not None
    module = getattr(value, "__module__", "")
    if module.startswith("dozero."):
        assert getattr(importlib.import_module(module), name) is value


def test_the_list_is_sorted_complete_and_what_dir_shows():
    assert dozero.__all__ == sorted(dozero.__all__)
    assert len(set(dozero.__all__)) == len(dozero.__all__)
    assert dir(dozero) == sorted(dozero.__all__)


def test_star_gives_just_the_public_names():
    found = {}
    exec("from dozero import *", found)
    assert set(found) - {"__builtins__"} == set(dozero.__all__)


def test_type_checkers_are_told_the_same_names():
    tree = ast.parse((ROOT / "src/dozero/__init__.py").read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    told = {(line.module, alias.name) for line in block.body for alias in line.names}
    assert told == {(module, name) for name, module in dozero._MODULE_OF.items()}
    assert {name for _, name in told} | {"__version__"} == set(dozero.__all__)


def test_a_name_that_is_not_public_is_no_attribute():
    for name in ("Trainer", "torch", "_secret", "generate_many"):
        with pytest.raises(AttributeError, match=f"module 'dozero' has no attribute '{name}'"):
            getattr(dozero, name)
    with pytest.raises(ImportError):
        from dozero import Trainer  # noqa: F401 - the import is the test


def test_importing_it_loads_nothing():
    loaded = python("import sys, json, dozero; print(json.dumps(sorted(sys.modules)))")
    assert not [name for name in loaded if name.partition(".")[0] in HEAVY]
    assert [name for name in loaded if name.startswith("dozero")] == ["dozero"]


def test_asking_for_the_settings_does_not_load_torch():
    loaded = python("import sys, json, dozero; dozero.load_config(); print(json.dumps(sorted(sys.modules)))")
    assert "torch" not in loaded
    assert "numpy" not in loaded


def test_the_version_is_the_packages():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert dozero.__version__ == project["version"]
