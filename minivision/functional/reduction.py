"""Sum, mean, variance and extremes over axes."""

from __future__ import annotations

from minivision.backend import Array, array_module
from minivision.functional.checks import Axis, entries, normalized_axes
from minivision.functional.inputs import tensors
from minivision.tensor import Tensor, record


def sum(x: Tensor | Array, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Σ x over the axes (all of them by default).  dx = dy, repeated.

    >>> sum(Tensor([[1.0, 2.0], [3.0, 4.0]]), axis=0)
    Tensor([4., 6.], float32)
    """
    (x,) = tensors("sum", x=x)
    axes = normalized_axes("sum", axis, x.ndim)
    shape = x.shape

    def backward(dy):
        return (repeat(dy, axes, shape),)

    return record(x.data.sum(axis=axes, keepdims=keepdims), (x,), backward)


def mean(x: Tensor | Array, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Σ x / n over the axes, n entries each.  dx = dy / n, repeated."""
    (x,) = tensors("mean", x=x)
    axes = normalized_axes("mean", axis, x.ndim)
    shape = x.shape
    n = entries("mean", x, axes, axis)

    def backward(dy):
        return (repeat(dy / n, axes, shape),)

    return record(x.data.mean(axis=axes, keepdims=keepdims), (x,), backward)


def var(
    x: Tensor | Array, axis: Axis = None, keepdims: bool = False, correction: int = 1
) -> Tensor:
    """The variance over the axes, Σ (x - mean)² / m with m = n - correction.

    dx = 2(x - mean)·dy / m. The mean depends on x too, but its term is 0 because Σ (x - mean) is 0.

    correction=1 is the unbiased estimate and PyTorch's default; 0 is NumPy's.
    """
    (x,) = tensors("var", x=x)
    axes = normalized_axes("var", axis, x.ndim)
    n = entries("var", x, axes, axis) - int(correction)
    if n <= 0:
        raise ValueError(
            f"var: x has shape {x.shape}; expected more entries along axis={axis} "
            f"than correction={correction}"
        )
    a = x.data
    centred = a - a.mean(axis=axes, keepdims=True)
    y = (centred * centred).sum(axis=axes, keepdims=keepdims) / n

    def backward(dy):
        return (centred * repeat(dy * (2 / n), axes, a.shape),)

    return record(y, (x,), backward)


def max(x: Tensor | Array, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest entry over the axes.  dx = dy at that entry, split equally if several tie.

    This is PyTorch's `amax`; PyTorch's `max(dim)` gives the whole gradient to one of the entries.
    """
    (x,) = tensors("max", x=x)
    axes = normalized_axes("max", axis, x.ndim)
    entries("max", x, axes, axis)
    a = x.data
    y = a.max(axis=axes, keepdims=True)

    def backward(dy):
        return (_to_extremes(dy, a == y, axes),)

    return record(dropped(y, axes, keepdims), (x,), backward)


def min(x: Tensor | Array, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The smallest entry over the axes.  dx = dy at that entry, split equally if several tie."""
    (x,) = tensors("min", x=x)
    axes = normalized_axes("min", axis, x.ndim)
    entries("min", x, axes, axis)
    a = x.data
    y = a.min(axis=axes, keepdims=True)

    def backward(dy):
        return (_to_extremes(dy, a == y, axes),)

    return record(dropped(y, axes, keepdims), (x,), backward)


def dropped(y: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    """y, whose reduced axes have size 1, with those axes dropped unless keepdims is set."""
    # Not y.squeeze(axes): for a scalar result NumPy and CuPy accept different arguments.
    return y if keepdims else y.reshape([n for i, n in enumerate(y.shape) if i not in axes])


def _to_extremes(dy: Array, extreme: Array, axes: tuple[int, ...]) -> Array:
    """Split dy equally among the extreme entries."""
    share = extreme / extreme.sum(axis=axes, keepdims=True).astype(dy.dtype)
    return share.astype(dy.dtype) * repeat(dy, axes, extreme.shape)


def repeat(dy: Array, axes: tuple[int, ...], shape: tuple[int, ...]) -> Array:
    """The adjoint of summing over the axes: dy at every entry that was summed (a view)."""
    kept = tuple([1 if i in axes else n for i, n in enumerate(shape)])
    return array_module(dy).broadcast_to(dy.reshape(kept), shape)
