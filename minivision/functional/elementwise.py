"""Powers, exponentials and similar functions, entry by entry."""

from __future__ import annotations

import numpy as np

from minivision.backend import Array, array_module
from minivision.errors import kind
from minivision.functional.inputs import tensors
from minivision.tensor import Tensor, record


def power(x: Tensor | Array, exponent: float) -> Tensor:
    """xᵖ for a fixed number p.  dx = dy·p·xᵖ⁻¹.

    Raises TypeError if the exponent is not a number; for two Tensors, write aᵇ as exp(b·log(a)).

    >>> power(Tensor([1.0, 2.0, 3.0]), 2)
    Tensor([1., 4., 9.], float32)
    """
    (x,) = tensors("power", x=x)
    if not isinstance(exponent, int | float | np.integer | np.floating):
        raise TypeError(
            f"power: exponent is {kind(exponent)}; expected a number "
            "(for two Tensors, write exp(b * log(a)))"
        )
    a, p = x.data, float(exponent)

    def backward(dy):
        if p == 0:  # x⁰ is 1 for every x, even at 0, where x⁻¹ is infinite
            return (array_module(dy).zeros_like(dy),)
        return (dy * (p * a ** (p - 1)),)

    return record(a**p, (x,), backward)


def exp(x: Tensor | Array) -> Tensor:
    """eˣ.  dx = dy·eˣ."""
    (x,) = tensors("exp", x=x)
    y = array_module(x.data).exp(x.data)

    def backward(dy):
        return (dy * y,)

    return record(y, (x,), backward)


def log(x: Tensor | Array) -> Tensor:
    """ln x.  dx = dy / x.  The value is -∞ at 0 and NaN below."""
    (x,) = tensors("log", x=x)
    a = x.data

    def backward(dy):
        return (dy / a,)

    return record(array_module(a).log(a), (x,), backward)


def sqrt(x: Tensor | Array) -> Tensor:
    """√x.  dx = dy / (2√x), which is infinite at 0."""
    (x,) = tensors("sqrt", x=x)
    y = array_module(x.data).sqrt(x.data)

    def backward(dy):
        return (dy / (2 * y),)

    return record(y, (x,), backward)


def absolute(x: Tensor | Array) -> Tensor:
    """|x|.  dx = dy·sign(x), which is 0 at 0."""
    (x,) = tensors("absolute", x=x)
    a, xp = x.data, array_module(x.data)

    def backward(dy):
        return (dy * xp.sign(a),)

    return record(xp.absolute(a), (x,), backward)
