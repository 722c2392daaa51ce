"""What `dozero doctor` promises: figures that were measured, as JSON."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from dozero.cli import doctor as module
from dozero.cli.doctor import MINUTES, doctor, examine_extras, training_outlook

app = typer.Typer()
app.command()(doctor)


@pytest.fixture(scope="module")
def ran():
    """One real run of the verb, for every test that reads its figures."""
    return CliRunner().invoke(app, ["--json", "--lang", "en", "--seconds", "0.4"])


@pytest.fixture(scope="module")
def facts(ran):
    return json.loads(ran.stdout)


def figures(value, name="") -> Iterator[tuple[str, float]]:
    """Every number in a tree of JSON values, with the key it stands under."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from figures(inner, key)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from figures(inner, name)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield name, value


def test_json_is_one_object_on_stdout_with_positive_figures(ran):
    assert ran.exit_code == 0, ran.output
    told = json.loads(ran.stdout)
    assert told.keys() == {"system", "peak", "recommended", "extras", "training", "seconds"}
    wrong = [(name, value) for name, value in figures(told) if value < 0 or (value == 0 and name != "load")]
    assert not wrong
    assert "measuring" in ran.stderr


def test_figures_agree_with_one_another(facts):
    assert facts["system"]["memory_available_bytes"] <= facts["system"]["memory_total_bytes"]
    assert facts["recommended"]["threads"] <= facts["system"]["physical_cores"]
    training = facts["training"]
    assert training["gflops"] * 1e9 == pytest.approx(6 * training["parameters"] * training["tokens_per_s"])
    assert training["share_of_peak"] > 0
    assert [budget["minutes"] for budget in training["budgets"]] == list(MINUTES)


def test_reference_parameters_are_those_that_multiply(facts):
    # 4 layers of 4 x 256 x 256 (attention), 3 x 256 x 768 (MLP), 2 x 256 + 2 x 64 (norms), a norm and the output head.
    assert facts["training"]["parameters"] == 4 * (4 * 256 * 256 + 3 * 256 * 768 + 2 * 256 + 2 * 64) + 256 + 1024 * 256


@pytest.mark.parametrize(("parameters", "tokens_per_s"), [(400_000, 9e4), (3_670_000, 6e3), (7_000_000_000, 2e4)])
def test_budgets_spend_exactly_the_arithmetic_there_is(parameters, tokens_per_s):
    outlook = training_outlook(parameters, tokens_per_s, peak_gflops=1e3)
    for budget in outlook["budgets"]:
        flops = 6 * parameters * tokens_per_s * 60 * budget["minutes"]
        assert 6 * budget["parameters"] * budget["tokens"] == pytest.approx(flops, rel=1e-4)
        assert 6 * parameters * budget["reference_tokens"] == pytest.approx(flops, rel=1e-4)
        assert budget["tokens"] == pytest.approx(20 * budget["parameters"], rel=1e-4)


def test_an_extra_is_missing_until_each_of_its_packages_is_here():
    requirements = [
        "torch>=2.7",
        'pytest>=8; extra == "test"',
        "no_such.package[fast]>=1 ; extra == 'test'",
        'pytest; extra == "half"',
        'only-on-mars; sys_platform == "mars" and extra == "half"',
        'dozero[test,half]; extra == "all"',
    ]
    test, half = examine_extras(requirements)
    assert (test["name"], list(test["present"]), test["missing"]) == ("test", ["pytest"], ["no_such.package"])
    assert test["install"] == 'pip install "dozero[test]"'
    assert (half["name"], half["missing"]) == ("half", [])
    assert half["present"] == {"pytest": pytest.__version__}
    assert examine_extras([]) == []
    assert examine_extras(None) is None


def test_the_verb_imports_nothing_heavy():
    code = "import sys, dozero.cli.doctor; print([m for m in ('torch', 'pydantic', 'numpy') if m in sys.modules])"
    started = time.perf_counter()
    env = os.environ | {"PYTHONPATH": str(Path(module.__file__).parents[2])}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert result.stdout.strip() == "[]", result.stderr
    assert time.perf_counter() - started < 30
