"""Sum, mean and maximum over axes.

Read next: functional/shape.py
"""

from __future__ import annotations

import math

from minivision.autograd import Tensor, record
from minivision.backend import Array, array_module
from minivision.functional.checks import normalized_axes, tensors

Axis = int | tuple[int, ...] | None


def sum(x: Tensor | Array, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Σ x over the axes (all of them by default).  dx = dy, repeated.

    >>> sum(Tensor([[1.0, 2.0], [3.0, 4.0]]), axis=0)
    Tensor([4., 6.], float32)
    """
    (x,) = tensors("sum", x=x)
    axes = normalized_axes("sum", axis, x.ndim)
    shape = x.shape

    def backward(dy):
        return (_repeat(dy, axes, shape),)

    return record(x.data.sum(axis=axes, keepdims=keepdims), (x,), backward)


def mean(x: Tensor | Array, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Σ x / n over the axes, n entries each.  dx = dy / n, repeated."""
    (x,) = tensors("mean", x=x)
    axes = normalized_axes("mean", axis, x.ndim)
    shape = x.shape
    n = math.prod([shape[i] for i in axes])
    if n == 0:
        raise ValueError(f"mean: x has shape {shape}; there is nothing to average over axis {axis}")

    def backward(dy):
        return (_repeat(dy / n, axes, shape),)

    return record(x.data.mean(axis=axes, keepdims=keepdims), (x,), backward)


def max(x: Tensor | Array, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest entry over the axes.  dx = dy there, shared equally where several are largest.

    That is PyTorch's `amax`; its `max(dim)` gives the whole gradient to one of them.
    """
    (x,) = tensors("max", x=x)
    axes = normalized_axes("max", axis, x.ndim)
    a = x.data
    if math.prod([a.shape[i] for i in axes]) == 0:
        raise ValueError(f"max: x has shape {a.shape}; there is no largest entry over axis {axis}")
    y = a.max(axis=axes, keepdims=True)

    def backward(dy):
        largest = (a == y).astype(a.dtype)
        share = largest / largest.sum(axis=axes, keepdims=True)
        return (share * _repeat(dy, axes, a.shape),)

    # Not y.squeeze(axes): at a scalar result NumPy and CuPy differ in what they accept.
    kept = y.shape if keepdims else tuple([n for i, n in enumerate(a.shape) if i not in axes])
    return record(y.reshape(kept), (x,), backward)


def _repeat(dy: Array, axes: tuple[int, ...], shape: tuple[int, ...]) -> Array:
    """The adjoint of summing over the axes: dy at every entry that was summed (a view)."""
    kept = tuple([1 if i in axes else n for i, n in enumerate(shape)])
    return array_module(dy).broadcast_to(dy.reshape(kept), shape)
