"""Choosing between numbers: the larger, the smaller, one of two, or a value kept within bounds.

Each entry of the result is a copy of one input entry, so that entry gets the gradient and the
others get 0. The code is `where(chosen, dy, 0)` rather than dy·chosen, because an infinite dy times
0 would be NaN. At a tie no choice is the right one; each docstring says what the function does.
"""

from __future__ import annotations

import numpy as np

from minivision.backend import Array, array_module
from minivision.functional.arithmetic import unbroadcast
from minivision.functional.inputs import operands, tensors
from minivision.tensor import Tensor, record


def maximum(a: Tensor | Array | float, b: Tensor | Array | float) -> Tensor:
    """The larger of two, entry by entry.  dy goes to the larger; at a tie, half to each.

    >>> maximum(Tensor([1.0, 5.0]), 3.0)
    Tensor([3., 5.], float32)
    """
    a, b = operands("maximum", a, b)
    u, v, xp = a.data, b.data, array_module(a.data)
    want_da, want_db = a.requires_grad, b.requires_grad

    def backward(dy):
        shared = xp.where(u == v, dy / 2, dy)
        da = unbroadcast(xp.where(u < v, 0, shared), u.shape) if want_da else None
        db = unbroadcast(xp.where(u > v, 0, shared), v.shape) if want_db else None
        return da, db

    return record(xp.maximum(u, v), (a, b), backward)


def minimum(a: Tensor | Array | float, b: Tensor | Array | float) -> Tensor:
    """The smaller of two, entry by entry.  dy goes to the smaller; at a tie, half to each."""
    a, b = operands("minimum", a, b)
    u, v, xp = a.data, b.data, array_module(a.data)
    want_da, want_db = a.requires_grad, b.requires_grad

    def backward(dy):
        shared = xp.where(u == v, dy / 2, dy)
        da = unbroadcast(xp.where(u > v, 0, shared), u.shape) if want_da else None
        db = unbroadcast(xp.where(u < v, 0, shared), v.shape) if want_db else None
        return da, db

    return record(xp.minimum(u, v), (a, b), backward)


def where(condition: Array, a: Tensor | Array | float, b: Tensor | Array | float) -> Tensor:
    """a where the condition holds, else b.  da = dy where it holds, db = dy elsewhere.

    condition: a boolean array that broadcasts with a and b, such as x > 0; it has no gradient.

    >>> import numpy as np
    >>> where(np.array([True, False]), Tensor([1.0, 2.0]), 0.0)
    Tensor([1., 0.], float32)
    """
    a, b = operands("where", a, b)
    xp = array_module(a.data)
    chosen = xp.array(condition)  # a copy: the caller may change it
    if chosen.dtype.kind != "b":
        raise TypeError(f"where: condition is {chosen.dtype}; expected booleans, such as x > 0")
    try:
        np.broadcast_shapes(chosen.shape, a.shape, b.shape)
    except ValueError:
        raise ValueError(
            f"where: condition has shape {chosen.shape}, which does not broadcast with a "
            f"{a.shape} and b {b.shape}"
        ) from None
    a_shape, b_shape = a.shape, b.shape
    want_da, want_db = a.requires_grad, b.requires_grad

    def backward(dy):
        da = unbroadcast(xp.where(chosen, dy, 0), a_shape) if want_da else None
        db = unbroadcast(xp.where(chosen, 0, dy), b_shape) if want_db else None
        return None, da, db

    return record(xp.where(chosen, a.data, b.data), (None, a, b), backward)


def clip(x: Tensor | Array, low: float | None = None, high: float | None = None) -> Tensor:
    """x limited to low..high; None means unbounded.  dx = dy where low ≤ x ≤ high, else 0."""
    (x,) = tensors("clip", x=x)
    if (low is None and high is None) or (low is not None and high is not None and low > high):
        raise ValueError(
            f"clip: low is {low} and high is {high}; expected low <= high, not both None"
        )
    a, xp = x.data, array_module(x.data)
    low, high = (None if bound is None else float(bound) for bound in (low, high))
    y = xp.clip(a, low, high)

    def backward(dy):
        return (xp.where(a == y, dy, 0),)

    return record(y, (x,), backward)
