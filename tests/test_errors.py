"""What errors.py promises: one line that tells what, where, expected, got and what now; one tree; a good guess."""

import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozero import errors
from dozero.errors import DozeroError, Interrupted, MissingExtra, did_you_mean

TREE = [c for c in vars(errors).values() if inspect.isclass(c) and issubclass(c, DozeroError)]


def test_the_parts_stand_in_the_order_a_person_asks():
    error = DozeroError("size differs", where="a.bin", expected=4, got=3, next="dozero run")
    assert str(error) == "a.bin: size differs; expected 4; got 3. Try: dozero run"


@given(
    where=st.none() | st.just("W"), expected=st.none() | st.just("E"), got=st.none() | st.just("G"), hint=st.booleans()
)
def test_only_the_parts_given_are_told(where, expected, got, hint):
    line = str(DozeroError("what", where=where, expected=expected, got=got, next="N" if hint else None))
    assert line.count("W: ") == (where is not None)
    assert line.count("; expected E") == (expected is not None)
    assert line.count("; got G") == (got is not None)
    assert line.endswith(". Try: N") == hint


def test_a_value_that_counts_as_false_is_told_too():
    assert str(DozeroError("too small", expected=1, got=0)) == "too small; expected 1; got 0"


def test_the_tree_is_the_one_drawn_in_the_docstring():
    drawn = [line.replace("│", " ").replace("├──", "   ").replace("└──", "   ") for line in errors.__doc__.splitlines()]
    names = {line.split()[0]: len(line) - len(line.lstrip()) for line in drawn if line.split()[:1] != []}
    parents = {c.__name__: c.__mro__[1].__name__ for c in TREE}
    for name, parent in parents.items():
        assert name in names, f"{name} is not drawn"
        if parent != "Exception":
            assert names[name] > names[parent], f"{name} is not drawn below {parent}"


@pytest.mark.parametrize("kind", [c for c in TREE if c is not MissingExtra], ids=lambda c: c.__name__)
def test_every_kind_is_caught_as_one_and_carries_its_parts(kind):
    with pytest.raises(DozeroError) as caught:
        raise kind("what", where="here", next="a command")
    assert (caught.value.what, caught.value.where, caught.value.next) == ("what", "here", "a command")
    assert caught.value.expected is caught.value.got is None


def test_a_missing_package_names_the_exact_install_line():
    assert MissingExtra("transformers", extra="test").next == 'pip install "dozero[test]"'


def test_an_interruption_passes_whoever_catches_errors():
    assert not issubclass(Interrupted, Exception)
    assert Interrupted(143).exit_code == 143


KEYS = ["steps", "batch_tokens", "learning_rate", "max_seconds"]


@pytest.mark.parametrize("key", KEYS)
def test_one_slip_of_the_finger_is_understood(key):
    slips = {key[:i] + key[i + 1 :] for i in range(len(key))}  # one letter left out
    slips |= {key[:i] + key[i + 1] + key[i] + key[i + 2 :] for i in range(len(key) - 1)}  # two swapped
    assert {did_you_mean(slip, KEYS) for slip in slips} == {key}


def test_what_resembles_nothing_has_no_guess():
    assert did_you_mean("zzz", KEYS) is None
    assert did_you_mean("steps", []) is None
