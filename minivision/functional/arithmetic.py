"""Arithmetic, entry by entry, with broadcasting.

Each function computes its value and defines `backward(dy)`, which turns ∂L/∂y into the gradients
of the inputs. If an input was broadcast, its gradient is summed over the repeated entries.
"""

from __future__ import annotations

from minivision.backend import Array
from minivision.functional.inputs import operands, tensors
from minivision.tensor import Tensor, record


def add(a: Tensor | Array | float, b: Tensor | Array | float) -> Tensor:
    """a + b.  da = dy, db = dy.

    >>> add(Tensor([1.0, 2.0]), 10.0)
    Tensor([11., 12.], float32)
    """
    a, b = operands("add", a, b)  # both as Tensors, or an error
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
        db = unbroadcast(-dy * (u / v / v), v.shape) if want_db else None
        return da, db

    return record(u / v, (a, b), backward)


def negative(x: Tensor | Array) -> Tensor:
    """-x.  dx = -dy."""
    (x,) = tensors("negative", x=x)

    def backward(dy):
        return (-dy,)

    return record(-x.data, (x,), backward)


def unbroadcast(dy: Array, shape: tuple[int, ...]) -> Array:
    """Sum dy over the axes along which an array of this shape was repeated to give dy's shape.

    A number that is used k times influences the loss along k paths, so its k gradients are added
    up.

    In other words, summing is the adjoint of repeating. The adjoint of a linear map A is the map
    Aᵀ for which ⟨Ax, y⟩ = ⟨x, Aᵀy⟩ for all x and y, where ⟨u, v⟩ is the sum of the products of
    corresponding entries; the gradient of y = Ax is dx = Aᵀ dy.

    >>> import numpy as np
    >>> unbroadcast(np.ones((4, 2, 3)), (2, 1)).tolist()
    [[12.0], [12.0]]
    """
    if dy.shape == shape:
        return dy
    added = dy.ndim - len(shape)
    stretched = [added + i for i, n in enumerate(shape) if n == 1 and dy.shape[added + i] != 1]
    return dy.sum(axis=(*range(added), *stretched)).reshape(shape)
