"""Join, pad and repeat: several Tensors become one, or one grows."""

from __future__ import annotations

import operator
from collections.abc import Sequence

import numpy as np

from minivision.backend import Array, array_module
from minivision.functional.arithmetic import unbroadcast
from minivision.functional.checks import check_parts
from minivision.functional.inputs import tensors
from minivision.tensor import Tensor, record


def concatenate(parts: Sequence[Tensor | Array], axis: int = 0) -> Tensor:
    """Join Tensors along an existing axis.  Each gets its part of dy.

    >>> concatenate([Tensor([1.0]), Tensor([2.0, 3.0])])
    Tensor([1., 2., 3.], float32)
    """
    tensors_, axis = check_parts("concatenate", parts, axis, 0)
    ends = np.cumsum([part.shape[axis] for part in tensors_])[:-1]
    data = [part.data for part in tensors_]

    def backward(dy):
        return tuple(array_module(dy).split(dy, ends.tolist(), axis))

    return record(array_module(*data).concatenate(data, axis), tuple(tensors_), backward)


def stack(parts: Sequence[Tensor | Array], axis: int = 0) -> Tensor:
    """Join Tensors of the same shape along a new axis.  Each gets its slice of dy."""
    tensors_, axis = check_parts("stack", parts, axis, 1)
    data = [part.data for part in tensors_]
    before, count = (slice(None),) * axis, len(data)

    def backward(dy):
        return tuple([dy[(*before, i)] for i in range(count)])

    return record(array_module(*data).stack(data, axis), tuple(tensors_), backward)


def pad(x: Tensor | Array, widths: Sequence[tuple[int, int]], value: float = 0.0) -> Tensor:
    """Surround x with a border of `value`.  dx = the inner part of dy.

    widths: (before, after) for every axis, as in NumPy. (PyTorch lists them from the last axis.)
    """
    (x,) = tensors("pad", x=x)
    try:
        given = [(operator.index(before), operator.index(after)) for before, after in widths]
    except (TypeError, ValueError):  # not pairs, or not of integers
        given = [(-1, -1)]
    if len(given) != x.ndim or any(min(width) < 0 for width in given):
        raise ValueError(
            f"pad: widths is {widths!r}; expected one pair (before, after) of integers >= 0 "
            f"for each of the {x.ndim} axes"
        )
    inner = tuple([slice(b, b + n) for (b, _), n in zip(given, x.shape, strict=True)])
    xp = array_module(x.data)
    larger = [b + n + a for (b, a), n in zip(given, x.shape, strict=True)]
    y = xp.full_like(x.data, value, shape=larger)
    y[inner] = x.data

    def backward(dy):
        return (dy[inner],)

    return record(y, (x,), backward)


def broadcast_to(x: Tensor | Array, shape: tuple[int, ...]) -> Tensor:
    """x repeated along axes of size 1 and new axes in front.  dx = dy, summed over the repeats."""
    (x,) = tensors("broadcast_to", x=x)
    old = x.shape
    try:
        new = tuple(shape)
        fits = np.broadcast_shapes(old, new) == new
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise ValueError(f"broadcast_to: x has shape {old}, which does not broadcast to {shape}")

    def backward(dy):
        return (unbroadcast(dy, old),)

    return record(array_module(x.data).broadcast_to(x.data, new), (x,), backward)
