"""The checks with which every function begins.

You can skip this file on a first reading. `tensors` wraps arrays; `sizes` names the axis sizes.

Each check runs before anything is computed. Its error message names the function, the argument, the
value given and the value expected.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minivision import errors
from minivision.backend import array_module, is_array
from minivision.tensor import Tensor

_INTEGERS = (int, np.integer)
_NUMBERS = (int, float, np.generic)  # and bool, which is an int


def tensors(function: str, optional: tuple[str, ...] = (), **arguments: Any) -> list[Any]:
    """The named arguments as Tensors with the same float dtype, on the same device.

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
                came = errors.kind(value)
                raise TypeError(f"{function}: {name} is {came}; expected a Tensor or an array")
            value = Tensor(value)
        if first is None:
            first, first_name = value, name
            errors.require_float(function, name, value)
        else:
            errors.require_alike(function, first_name, first, name, value)
        checked.append(value)
    return checked


def operands(function: str, a: Any, b: Any) -> tuple[Tensor, Tensor]:
    """The two operands of an arithmetic function; either of them may be a number.

    A Python number or a NumPy scalar takes the dtype and device of the other operand.
    """
    if not isinstance(a, Tensor):
        if not isinstance(b, Tensor) and is_array(b) and b.ndim:
            b = Tensor(b)  # so that a number on the left of an array takes its dtype too
        a = _operand(function, "a", a, b)
    if not isinstance(b, Tensor):
        b = _operand(function, "b", b, a)
    errors.require_alike(function, "a", a, "b", b)
    if a.node.shape != b.node.shape and a.ndim and b.ndim and not broadcasts(a.shape, b.shape):
        raise ValueError(
            f"{function}: a has shape {a.shape} and b {b.shape}, which do not broadcast; "
            "counting from the last axis, sizes must be equal or 1"
        )
    return a, b


def _operand(function: str, name: str, value: Any, other: Any) -> Tensor:
    number = isinstance(value, _NUMBERS)
    if not number and not is_array(value):
        came = errors.kind(value)
        raise TypeError(f"{function}: {name} is {came}; expected a Tensor, an array or a number")
    if not isinstance(other, Tensor) or (not number and value.ndim > 0):
        return Tensor(value)
    if number or isinstance(value, np.ndarray):
        xp = array_module(other.data)
        return Tensor(xp.asarray(value, dtype=other.dtype))
    return Tensor(value.astype(other.dtype))  # a zero-dimensional CuPy array stays on its GPU


def broadcasts(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether two shapes broadcast: from the last axis back, sizes are equal or one of them is 1.

    >>> broadcasts((4, 2, 3), (2, 1)), broadcasts((4, 2, 3), (4, 2))
    (True, False)
    """
    return all([m == n or 1 in (m, n) for m, n in zip(one[::-1], other[::-1], strict=False)])


def sizes(function: str, argument: str, x: Tensor, names: str) -> tuple[int, ...]:
    """The sizes of x's axes, one per name, as in `N, C, H, W = sizes("f", "x", x, "N C H W")`.

    >>> N, C = sizes("softmax", "logits", Tensor(np.zeros((2, 3))), "N C")
    >>> sizes("conv2d", "x", Tensor(np.zeros((2, 3))), "N C H W")
    Traceback (most recent call last):
        ...
    ValueError: conv2d: x has shape (2, 3); expected 4 axes (N, C, H, W)
    """
    expected = names.split()
    if x.ndim != len(expected):
        axes = "axis" if len(expected) == 1 else "axes"
        one = expected[0] == "N" and x.ndim == len(expected) - 1
        advice = f"; for a single example, add a batch axis: {argument}[None]" if one else ""
        raise ValueError(
            f"{function}: {argument} has shape {x.shape}; "
            f"expected {len(expected)} {axes} ({', '.join(expected)}){advice}"
        )
    return x.shape


def pair(function: str, argument: str, value: Any, least: int) -> tuple[int, int]:
    """A size as a pair, from one number or (vertical, horizontal), all at least `least`."""
    if type(value) is int and value >= least:  # the usual case; conv2d calls this three times
        return value, value
    both = tuple(value) if isinstance(value, tuple | list) else (value, value)
    if len(both) == 2 and all([isinstance(n, _INTEGERS) and n >= least for n in both]):
        return int(both[0]), int(both[1])
    raise ValueError(
        f"{function}: {argument} is {value!r}; expected an integer >= {least} or a pair of them"
    )
