"""What type_checks.py promises of all other tests: wrong types and wrong shapes are refused."""

import importlib

import beartype.roar
import jaxtyping
import pytest
import torch
from type_checks import ALIKE, check_shapes_and_types_of

MODULE = """
from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass
class Pair:
    left: int
    right: str


class Rows:
    def take(self, n: int) -> int:
        return n


def double(n: int) -> int:
    return 2 * n


def name(n: int) -> str:
    return n


def count(n: int) -> Iterator[int]:
    yield from range(n)


def add(a: Float[Tensor, "B T"], b: Float[Tensor, "B T"]) -> Float[Tensor, "B T"]:
    return a + b


def halve(a: Float[Tensor, "B T"]) -> Float[Tensor, "B T"]:
    return a[::2]


def scaler(n: int) -> Callable[[Tensor], Tensor]:
    def scale(a: Float[Tensor, "T"]) -> Float[Tensor, "T"]:
        return n * a

    return scale


def adder(n: int) -> Callable[[int], int]:
    def add(m: int) -> int:
        return n + m

    return add
"""


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """A module that is imported as those of the package are."""
    folder = tmp_path_factory.mktemp("checked")
    (folder / "checked_by_tests.py").write_text(MODULE, encoding="utf-8")
    hook = check_shapes_and_types_of("checked_by_tests")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield importlib.import_module("checked_by_tests")
    hook.uninstall()


WRONG = (beartype.roar.BeartypeCallHintViolation, jaxtyping.TypeCheckError)


def test_wrong_types_are_refused(checked):
    assert (checked.double(2), checked.Rows().take(3), list(checked.count(2))) == (4, 3, [0, 1])
    for wrong in (
        lambda: checked.double("2"),
        lambda: checked.name(2),
        lambda: checked.Rows().take(None),
        lambda: list(checked.count("2")),
        lambda: checked.Pair("1", "2"),
        lambda: checked.add(1, torch.ones(1, 1)),
    ):
        with pytest.raises(WRONG):
            wrong()


def test_wrong_shapes_are_refused(checked):
    assert torch.equal(checked.add(torch.ones(2, 3), torch.ones(2, 3)), torch.full((2, 3), 2.0))
    for wrong in (
        lambda: checked.add(torch.ones(2, 3), torch.ones(1, 3)),
        lambda: checked.add(torch.ones(6), torch.ones(6)),
        lambda: checked.add(torch.ones(2, 3).long(), torch.ones(2, 3)),
        lambda: checked.halve(torch.ones(2, 3)),
    ):
        with pytest.raises(jaxtyping.TypeCheckError):
            wrong()


def test_functions_inside_others_are_checked_each_time(checked):
    adders = [checked.adder(n) for n in range(2 * ALIKE)]
    assert [add(1) for add in adders] == list(range(1, 2 * ALIKE + 1)), "each its own, not one for all"
    for add in adders:
        with pytest.raises(WRONG):
            add("1")


def test_functions_inside_others_that_tell_shapes_are_checked_the_first_times(checked):
    scalers = [checked.scaler(n) for n in range(2 * ALIKE)]
    assert [int(scale(torch.ones(1))) for scale in scalers] == list(range(2 * ALIKE))
    for scale in scalers[:ALIKE]:
        with pytest.raises(WRONG):
            scale(torch.ones(1, 1))


@pytest.mark.usefixtures("shapes_unchecked")
def test_nothing_is_checked_where_torch_traces(checked):
    assert checked.double("2") == "22"
    assert checked.halve(torch.ones(4, 1)).shape == (2, 1)


def test_the_package_is_checked():
    from dozero.dataset.split import is_heldout
    from dozero.train.optim import orthogonalize

    with pytest.raises(WRONG):
        is_heldout(3, 50)
    with pytest.raises(jaxtyping.TypeCheckError):
        orthogonalize(torch.ones(3, 4))
