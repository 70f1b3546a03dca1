"""Sum, mean, variance, extremes and log-sum-exp over axes.

Read next: functional/shape.py
"""

from __future__ import annotations

import math

from minivision.backend import Array, array_module
from minivision.functional.inputs import normalized_axes, tensors
from minivision.tensor import Tensor, record

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
    n = _count("mean", x, axes, axis)

    def backward(dy):
        return (_repeat(dy / n, axes, shape),)

    return record(x.data.mean(axis=axes, keepdims=keepdims), (x,), backward)


def var(
    x: Tensor | Array, axis: Axis = None, keepdims: bool = False, correction: int = 1
) -> Tensor:
    """The variance over the axes, Σ (x - mean)² / (n - correction).  dx = 2(x - mean)·dy / (…).

    correction=1 is the unbiased estimate and PyTorch's default; 0 is NumPy's.
    """
    (x,) = tensors("var", x=x)
    axes = normalized_axes("var", axis, x.ndim)
    n = _count("var", x, axes, axis) - int(correction)
    if n <= 0:
        raise ValueError(f"var: x has {n + correction} entries over axis {axis}; expected more")
    a = x.data
    centred = a - a.mean(axis=axes, keepdims=True)
    y = (centred * centred).sum(axis=axes, keepdims=keepdims) / n

    def backward(dy):
        return (centred * _repeat(dy * (2 / n), axes, a.shape),)

    return record(y, (x,), backward)


def max(x: Tensor | Array, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest entry over the axes.  dx = dy there, shared equally where several are largest.

    That is PyTorch's `amax`; its `max(dim)` gives the whole gradient to one of them.
    """
    (x,) = tensors("max", x=x)
    axes = normalized_axes("max", axis, x.ndim)
    _count("max", x, axes, axis)
    a = x.data
    y = a.max(axis=axes, keepdims=True)

    def backward(dy):
        return (_to_extremes(dy, a == y, axes),)

    return record(_dropped(y, axes, keepdims), (x,), backward)


def min(x: Tensor | Array, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The smallest entry over the axes.  dx = dy there, shared equally where several are."""
    (x,) = tensors("min", x=x)
    axes = normalized_axes("min", axis, x.ndim)
    _count("min", x, axes, axis)
    a = x.data
    y = a.min(axis=axes, keepdims=True)

    def backward(dy):
        return (_to_extremes(dy, a == y, axes),)

    return record(_dropped(y, axes, keepdims), (x,), backward)


def logsumexp(x: Tensor | Array, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """log Σ exp(x) over the axes, a smooth maximum.  dx = dy·softmax(x).

    The largest entry is taken out first, so exp stays within its range.
    """
    (x,) = tensors("logsumexp", x=x)
    axes = normalized_axes("logsumexp", axis, x.ndim)
    _count("logsumexp", x, axes, axis)
    a, xp = x.data, array_module(x.data)
    largest = a.max(axis=axes, keepdims=True)
    y = largest + xp.log(xp.exp(a - largest).sum(axis=axes, keepdims=True))

    def backward(dy):
        return (xp.exp(a - y) * _repeat(dy, axes, a.shape),)

    return record(_dropped(y, axes, keepdims), (x,), backward)


def _count(function: str, x: Tensor, axes: tuple[int, ...], axis: Axis) -> int:
    """How many entries are reduced to one; ValueError for none."""
    n = math.prod([x.shape[i] for i in axes])
    if n == 0:
        raise ValueError(f"{function}: x has shape {x.shape}; there is no entry over axis {axis}")
    return n


def _dropped(y: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    """y, whose reduced axes have size 1, without them unless they are kept."""
    # Not y.squeeze(axes): at a scalar result NumPy and CuPy differ in what they accept.
    return y if keepdims else y.reshape([n for i, n in enumerate(y.shape) if i not in axes])


def _to_extremes(dy: Array, extreme: Array, axes: tuple[int, ...]) -> Array:
    """dy, in equal shares, at the entries that are extreme."""
    share = extreme / extreme.sum(axis=axes, keepdims=True).astype(dy.dtype)
    return share.astype(dy.dtype) * _repeat(dy, axes, extreme.shape)


def _repeat(dy: Array, axes: tuple[int, ...], shape: tuple[int, ...]) -> Array:
    """The adjoint of summing over the axes: dy at every entry that was summed (a view)."""
    kept = tuple([1 if i in axes else n for i, n in enumerate(shape)])
    return array_module(dy).broadcast_to(dy.reshape(kept), shape)
