"""Arithmetic, entry by entry, with broadcasting.

Each function computes its value and defines `backward(dy)`, which turns ∂L/∂y into the gradients
of the inputs. Where an input was broadcast, its gradient is summed over the repeats.

Read next: functional/selection.py
"""

from __future__ import annotations

import numpy as np

from minivision.backend import Array, array_module
from minivision.functional.inputs import operands, tensors
from minivision.tensor import Tensor, record


def add(a: Tensor | Array | float, b: Tensor | Array | float) -> Tensor:
    """a + b.  da = dy, db = dy.

    >>> add(Tensor([1.0, 2.0]), 10.0)
    Tensor([11., 12.], float32)
    """
    a, b = operands("add", a, b)
    a_shape, b_shape = a.shape, b.shape
    want_da, want_db = a.requires_grad, b.requires_grad

    def backward(dy):
        da = unbroadcast(dy, a_shape) if want_da else None
        db = unbroadcast(dy, b_shape) if want_db else None
        return da, db

    return record(a.data + b.data, (a, b), backward)


def subtract(a: Tensor | Array | float, b: Tensor | Array | float) -> Tensor:
    """a - b.  da = dy, db = -dy."""
    a, b = operands("subtract", a, b)
    a_shape, b_shape = a.shape, b.shape
    want_da, want_db = a.requires_grad, b.requires_grad

    def backward(dy):
        da = unbroadcast(dy, a_shape) if want_da else None
        db = -unbroadcast(dy, b_shape) if want_db else None
        return da, db

    return record(a.data - b.data, (a, b), backward)


def multiply(a: Tensor | Array | float, b: Tensor | Array | float) -> Tensor:
    """a·b.  da = dy·b, db = dy·a."""
    a, b = operands("multiply", a, b)
    u, v = a.data, b.data
    want_da, want_db = a.requires_grad, b.requires_grad

    def backward(dy):
        da = unbroadcast(dy * v, u.shape) if want_da else None
        db = unbroadcast(dy * u, v.shape) if want_db else None
        return da, db

    return record(u * v, (a, b), backward)


def divide(a: Tensor | Array | float, b: Tensor | Array | float) -> Tensor:
    """a / b.  da = dy / b, db = -dy·a / b²."""
    a, b = operands("divide", a, b)
    u, v = a.data, b.data
    want_da, want_db = a.requires_grad, b.requires_grad

    def backward(dy):
        da = unbroadcast(dy / v, u.shape) if want_da else None
        db = unbroadcast(-dy * u / (v * v), v.shape) if want_db else None
        return da, db

    return record(u / v, (a, b), backward)


def negative(x: Tensor | Array) -> Tensor:
    """-x.  dx = -dy."""
    (x,) = tensors("negative", x=x)

    def backward(dy):
        return (-dy,)

    return record(-x.data, (x,), backward)


def power(x: Tensor | Array, exponent: float) -> Tensor:
    """xᵖ for a fixed number p.  dx = dy·p·xᵖ⁻¹.

    Raises TypeError where the exponent is no number: aᵇ of two Tensors is exp(b·log(a)).

    >>> power(Tensor([1.0, 2.0, 3.0]), 2)
    Tensor([1., 4., 9.], float32)
    """
    (x,) = tensors("power", x=x)
    if not isinstance(exponent, int | float | np.integer | np.floating):
        came = type(exponent).__name__
        raise TypeError(f"power: exponent is a {came}; expected a number, or write exp(b * log(a))")
    a, p = x.data, float(exponent)

    def backward(dy):
        return (dy * (p * a ** (p - 1)) if p != 0 else dy * 0,)

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
    """|x|.  dx = dy·sign(x); at 0 it is 0."""
    (x,) = tensors("absolute", x=x)
    a, xp = x.data, array_module(x.data)

    def backward(dy):
        return (dy * xp.sign(a),)

    return record(xp.absolute(a), (x,), backward)


def unbroadcast(dy: Array, shape: tuple[int, ...]) -> Array:
    """Sum dy over the axes along which an array of this shape was repeated to give dy's shape.

    It is the adjoint of broadcasting. The adjoint of a linear map A is the map Aᵀ for which
    ⟨Ax, y⟩ = ⟨x, Aᵀy⟩ for all x and y, where ⟨u, v⟩ is the sum of the products of corresponding
    entries. If y = Ax then dx = Aᵀ dy: the gradient of a linear function is its adjoint.

    >>> import numpy as np
    >>> unbroadcast(np.ones((4, 2, 3)), (2, 1)).tolist()
    [[12.0], [12.0]]
    """
    if dy.shape == shape:
        return dy
    added = dy.ndim - len(shape)
    stretched = [added + i for i, n in enumerate(shape) if n == 1 and dy.shape[added + i] != 1]
    return dy.sum(axis=(*range(added), *stretched)).reshape(shape)
