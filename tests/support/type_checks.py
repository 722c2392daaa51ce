"""What is put on every function of the package while tests run: shapes and types are checked at each call."""

import collections
import functools
import types
import typing

import beartype
import jaxtyping
from beartype.roar import BeartypeDecorHintPep673Exception

ALIKE = 20
made = collections.Counter()
checkers = {}


def check_types(function):
    """beartype, except that an int is a float (PEP 484) and that a signature with typing.Self goes unchecked: the hook
    shows it methods one by one, without their class.
    """
    try:
        return beartype.beartype(function, conf=beartype.BeartypeConf(is_pep484_tower=True))
    except BeartypeDecorHintPep673Exception:
        return function


_check_shapes = jaxtyping.jaxtyped(typechecker=check_types)


def check_shapes_and_types(*, typechecker):
    """What jaxtyping's hook puts on each function, at a tenth of the price: where no shape is told, types alone are checked.

    A function inside another is made anew with each call of that, and a checker of its own takes milliseconds: they share
    one, or, where shapes are told, only the first of them are checked.
    """

    def decorate(function):
        if not isinstance(function, types.FunctionType):
            return _check_shapes(function)
        if function.__code__ in checkers:
            return _check_types_unless_traced(function)
        made[function.__code__] += 1
        if made[function.__code__] > ALIKE:
            return function
        try:
            hints = typing.get_type_hints(function, include_extras=True)
        except NameError:  # imported for type checkers alone: jaxtyping takes it for anything
            return _check_shapes(function)
        return _check_shapes(function) if _tells_shape([*hints.values()]) else _check_types_unless_traced(function)

    return decorate


def _tells_shape(hint):
    """Whether arrays of a told shape occur in a hint, or in some of them."""
    if isinstance(hint, type) and issubclass(hint, jaxtyping.AbstractArray):
        return True
    return any(map(_tells_shape, hint if isinstance(hint, list) else typing.get_args(hint)))


def _check_types_unless_traced(function):
    """As jaxtyping's wrapper does: where shapes go unchecked, so do types."""
    checked = _check_likewise(function)

    @functools.wraps(function)
    def call(*args, **kwargs):
        return (function if jaxtyping.config.jaxtyping_disable else checked)(*args, **kwargs)

    return call


def _check_likewise(function):
    """What checks a function as it does the first of its code: beartype hands the function to its wrapper by a default."""
    if function.__code__ not in checkers:
        checkers[function.__code__] = check_types(function)
    first = checkers[function.__code__]
    if "__beartype_func" not in (first.__kwdefaults__ or {}):
        return function  # no hints
    checked = types.FunctionType(
        first.__code__, first.__globals__, function.__name__, first.__defaults__, first.__closure__
    )
    checked.__kwdefaults__ = first.__kwdefaults__ | {"__beartype_func": function}
    return checked


def check_shapes_and_types_of(package):
    """Have it put on all functions of a package that is imported after this; return the hook."""
    jaxtyping.jaxtyped = check_shapes_and_types
    return jaxtyping.install_import_hook(package, f"{__name__}.{check_types.__name__}")
