"""The toy grammar, with every story it tells."""

import importlib.util
from pathlib import Path

import pytest


def _load():
    spec = importlib.util.spec_from_file_location("toy_grammar", Path(__file__).with_name("toy_grammar.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def toy():
    return _load().toy()


@pytest.fixture(scope="session")
def toy_stories(toy):
    """Every derivation as (text, probability)."""
    return _load().all_stories(toy)
