"""The first lines of every function: check the arguments, or say what is wrong with them.

Each check names the function and the argument, what came and what was expected, before anything
is computed.

Read next: functional/arithmetic.py
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from minivision.backend import array_module, device_of, is_array
from minivision.tensor import Tensor

_INTEGERS = (int, np.integer)
_NUMBERS = (int, float, np.generic)  # and bool, which is an int


def tensors(function: str, optional: tuple[str, ...] = (), **arguments: Any) -> list[Any]:
    """The named arguments as Tensors of one float dtype on one device.

    Arrays are wrapped; None stays None for the names in `optional`. Raises TypeError for anything
    else and for mixed dtypes, ValueError for mixed devices.
    """
    checked: list[Any] = []
    first, first_name = None, ""
    for name, value in arguments.items():
        if not isinstance(value, Tensor):
            if value is None and name in optional:
                checked.append(None)
                continue
            if not is_array(value):
                came = type(value).__name__
                raise TypeError(f"{function}: {name} is a {came}; expected a Tensor or an array")
            value = Tensor(value)
        if first is None:
            first, first_name = value, name
            _require_float(function, name, value)
        else:
            _require_alike(function, first_name, first, name, value)
        checked.append(value)
    return checked


def operands(function: str, a: Any, b: Any) -> tuple[Tensor, Tensor]:
    """The two operands of an arithmetic function; either may be a number.

    A Python number or a NumPy scalar takes the other's dtype and device.
    """
    if not isinstance(a, Tensor):
        if not isinstance(b, Tensor) and is_array(b) and b.ndim:
            b = Tensor(b)  # so that a number in front of an array takes its dtype too
        a = _constant(function, "a", a, b)
    if not isinstance(b, Tensor):
        b = _constant(function, "b", b, a)
    _require_alike(function, "a", a, "b", b)
    if a.node.shape != b.node.shape and a.ndim and b.ndim and not broadcasts(a.shape, b.shape):
        raise ValueError(
            f"{function}: a has shape {a.shape} and b {b.shape}, which do not broadcast; "
            "from the last axis on, sizes must be equal or 1"
        )
    return a, b


def sizes(function: str, argument: str, x: Tensor, names: str) -> tuple[int, ...]:
    """The sizes of x's axes, one for each name, as in `N, C, H, W = sizes("f", "x", x, "N C H W")`.

    >>> N, C = sizes("softmax", "logits", Tensor(np.zeros((2, 3))), "N C")
    >>> sizes("conv2d", "x", Tensor(np.zeros((2, 3))), "N C H W")
    Traceback (most recent call last):
        ...
    ValueError: conv2d: x has shape (2, 3); expected 4 axes (N, C, H, W)
    """
    expected = names.split()
    if x.ndim != len(expected):
        axes = "axis" if len(expected) == 1 else "axes"
        raise ValueError(
            f"{function}: {argument} has shape {x.shape}; "
            f"expected {len(expected)} {axes} ({', '.join(expected)})"
        )
    return x.shape


def pair(function: str, argument: str, value: Any, least: int) -> tuple[int, int]:
    """A size given once for both directions, or as (vertical, horizontal); at least `least`."""
    if type(value) is int and value >= least:  # the usual case; conv2d calls this three times
        return value, value
    both = tuple(value) if isinstance(value, tuple | list) else (value, value)
    if len(both) == 2 and all([isinstance(n, _INTEGERS) and n >= least for n in both]):
        return int(both[0]), int(both[1])
    raise ValueError(
        f"{function}: {argument} is {value!r}; expected an integer >= {least} or a pair of them"
    )


def one_of(function: str, argument: str, value: Any, known: Iterable[Any]) -> None:
    """Raise ValueError if the argument is none of those that the function knows."""
    if value not in known:
        expected = ", ".join(map(repr, known))
        raise ValueError(f"{function}: {argument} is {value!r}; expected one of {expected}")


def broadcasts(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether two shapes broadcast: from the last axis on, sizes are equal or one of them is 1.

    >>> broadcasts((4, 2, 3), (2, 1)), broadcasts((4, 2, 3), (4, 2))
    (True, False)
    """
    return all([m == n or 1 in (m, n) for m, n in zip(one[::-1], other[::-1], strict=False)])


def normalized_axes(function: str, axis: Any, ndim: int) -> tuple[int, ...]:
    """axis=None, a number or a tuple, as a tuple of different numbers from 0 to ndim - 1."""
    if axis is None:
        return tuple(range(ndim))
    try:
        given = tuple(map(operator.index, axis if isinstance(axis, Sequence) else (axis,)))
    except TypeError:
        raise TypeError(
            f"{function}: axis is {axis!r}; expected an integer, a tuple of integers or None"
        ) from None
    axes = tuple(i + ndim if i < 0 else i for i in given)
    if any(not 0 <= i < ndim for i in axes) or len(set(axes)) != len(axes):
        raise ValueError(
            f"{function}: axis is {axis!r}; expected different axes from {-ndim} to {ndim - 1}"
        )
    return axes


def _constant(function: str, name: str, value: Any, other: Any) -> Tensor:
    number = isinstance(value, _NUMBERS)
    if not number and not is_array(value):
        came = type(value).__name__
        raise TypeError(f"{function}: {name} is a {came}; expected a Tensor, an array or a number")
    if not isinstance(other, Tensor) or (not number and value.ndim > 0):
        return Tensor(value)
    if number or isinstance(value, np.ndarray):
        xp = array_module(other.data)
        return Tensor(xp.asarray(value, dtype=other.dtype))
    return Tensor(value.astype(other.dtype))  # of CuPy, without axes: it stays where it is


def _require_float(function: str, name: str, value: Tensor) -> None:
    if value.node.dtype.kind != "f":
        raise TypeError(f"{function}: {name} is {value.dtype}; expected float32 or float64")


def _require_alike(function: str, first_name: str, first: Tensor, name: str, value: Tensor) -> None:
    a, b = first.data, value.data
    dtype = first.node.dtype
    if dtype is value.node.dtype and dtype.kind == "f" and type(a) is type(b) is np.ndarray:
        return  # the usual case, checked first because it runs in every operation
    _require_float(function, first_name, first)
    _require_float(function, name, value)
    if a.dtype != b.dtype:
        raise TypeError(
            f"{function}: {first_name} is {a.dtype} but {name} is {b.dtype}; "
            "make them alike, for instance with array.astype(np.float32)"
        )
    if device_of(a) != device_of(b):
        raise ValueError(
            f"{function}: {first_name} is on {device_of(a)} but {name} is on {device_of(b)}; "
            "move one with minivision.backend.to_device, or a whole model with model.to(device)"
        )
