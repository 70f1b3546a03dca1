"""Reshape, transpose, index, join and pad: the numbers stay, their places change.

Each is a permutation or a selection of entries; its gradient puts every entry of dy back where
the value came from.

Read next: functional/activation.py
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from minivision.backend import Array, array_module, is_array
from minivision.functional.arithmetic import unbroadcast
from minivision.functional.inputs import normalized_axes, tensors
from minivision.tensor import Tensor, record
from minivision.windows import Window


def reshape(x: Tensor | Array, *shape: int | tuple[int, ...]) -> Tensor:
    """The same entries, in C order, in another shape; one size may be -1.  dx = dy in x's shape.

    >>> reshape(Tensor([[1.0, 2.0], [3.0, 4.0]]), 4)
    Tensor([1., 2., 3., 4.], float32)
    """
    (x,) = tensors("reshape", x=x)
    new: Any = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple | list) else shape
    new = tuple(new)
    known = math.prod([n for n in new if n != -1])
    fits = known == x.size if -1 not in new else known > 0 and x.size % known == 0
    if not fits or new.count(-1) > 1 or any(n < -1 for n in new):
        raise ValueError(f"reshape: x has shape {x.shape} and {x.size} entries; not those of {new}")
    old = x.shape

    def backward(dy):
        return (dy.reshape(old),)

    return record(x.data.reshape(new), (x,), backward)


def flatten(x: Tensor | Array, start_axis: int = 1) -> Tensor:
    """One vector for each image: x (N, C, H, W) -> (N, C·H·W).  dx = dy in x's shape.

    The lecture's "vectorisation" of activation maps. start_axis=0 makes a single vector. PyTorch's
    `torch.flatten` starts at axis 0, its `nn.Flatten` at 1, as here.
    """
    (x,) = tensors("flatten", x=x)
    if not 0 <= start_axis <= x.ndim:
        raise ValueError(f"flatten: start_axis is {start_axis}; expected 0 to {x.ndim}")
    old = x.shape
    y = x.data.reshape(*old[:start_axis], math.prod(old[start_axis:]))

    def backward(dy):
        return (dy.reshape(old),)

    return record(y, (x,), backward)


def transpose(x: Tensor | Array, axes: tuple[int, ...] | None = None) -> Tensor:
    """Axis i of the result is axis axes[i] of x; reversed by default.  dx = dy transposed back.

    axes is one tuple, as in `numpy.transpose(x, axes)`; PyTorch calls this `permute`.
    """
    (x,) = tensors("transpose", x=x)
    order = normalized_axes("transpose", axes, x.ndim) if axes is not None else None
    if order is None:
        order = tuple(range(x.ndim))[::-1]
    if len(order) != x.ndim:
        raise ValueError(f"transpose: axes is {axes}; expected each of {x.ndim} axes once")
    back = tuple([order.index(i) for i in range(x.ndim)])

    def backward(dy):
        return (dy.transpose(back),)

    return record(x.data.transpose(order), (x,), backward)


def getitem(x: Tensor | Array, index: Any) -> Tensor:
    """x[index], with NumPy's rules.  dx = dy at the chosen entries, 0 elsewhere.

    An entry chosen twice by an integer array gets the sum of both gradients.

    >>> import numpy as np
    >>> x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> x[np.array([0, 0, 2])].sum().backward()
    >>> x.grad
    array([2., 0., 1.], dtype=float32)
    """
    (x,) = tensors("getitem", x=x)
    parts = index if isinstance(index, tuple) else (index,)
    parts = tuple([part.data if isinstance(part, Tensor) else part for part in parts])
    parts = tuple([part.copy() if is_array(part) else part for part in parts])  # it may change
    basic = all(part is None or isinstance(part, int | slice | type(...)) for part in parts)
    shape, xp = x.shape, array_module(x.data)
    if xp is not np and not basic and array_module(*parts) is np:
        np.broadcast_to(False, shape)[parts]  # CuPy lets a bad index wrap around; this raises

    def backward(dy):
        dx = xp.zeros_like(dy, shape=shape)
        if basic:
            dx[parts] = dy
        else:
            xp.add.at(dx, parts, dy)
        return (dx,)

    window = Window((1, 1)) if _takes_channels(parts) else None
    return record(x.data[parts], (x,), backward, window=window)


def _takes_channels(index: tuple) -> bool:
    """Whether an index takes channels and leaves the batch and all pixels alone, as x[:, :8] does.

    >>> _takes_channels((slice(None), slice(0, 8))), _takes_channels((..., slice(None, None, -1)))
    (True, False)
    """
    return all(
        isinstance(part, slice) and (axis == 1 or part == slice(None))
        for axis, part in enumerate(index)
    )


def concatenate(parts: Sequence[Tensor | Array], axis: int = 0) -> Tensor:
    """Tensors one after the other along an axis they already have.  Each gets its part of dy.

    >>> concatenate([Tensor([1.0]), Tensor([2.0, 3.0])])
    Tensor([1., 2., 3.], float32)
    """
    tensors_, axis = _joined("concatenate", parts, axis, 0)
    ends = np.cumsum([part.shape[axis] for part in tensors_])[:-1]
    data = [part.data for part in tensors_]

    def backward(dy):
        return tuple(array_module(dy).split(dy, ends.tolist(), axis))

    return record(array_module(*data).concatenate(data, axis), tuple(tensors_), backward)


def stack(parts: Sequence[Tensor | Array], axis: int = 0) -> Tensor:
    """Tensors of one shape along a new axis.  Each gets its slice of dy."""
    tensors_, axis = _joined("stack", parts, axis, 1)
    data = [part.data for part in tensors_]
    before, count = (slice(None),) * axis, len(data)

    def backward(dy):
        return tuple([dy[(*before, i)] for i in range(count)])

    return record(array_module(*data).stack(data, axis), tuple(tensors_), backward)


def pad(x: Tensor | Array, widths: Sequence[tuple[int, int]], value: float = 0.0) -> Tensor:
    """A border of `value`.  dx = the inner part of dy.

    widths: (before, after) for every axis, as in NumPy. (PyTorch lists them from the last axis.)
    """
    (x,) = tensors("pad", x=x)
    try:
        given = [(operator.index(before), operator.index(after)) for before, after in widths]
    except (TypeError, ValueError):  # no pairs, or not of integers
        given = [(-1, -1)]
    if len(given) != x.ndim or any(min(width) < 0 for width in given):
        raise ValueError(
            f"pad: widths is {widths!r}; expected (before, after), 0 or more, for each of "
            f"{x.ndim} axes"
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


def _joined(function: str, parts: Any, axis: int, added: int) -> tuple[list[Tensor], int]:
    """The checked parts, and the axis counted from the front."""
    try:
        parts = list(parts)
    except TypeError:
        came = type(parts).__name__
        raise TypeError(f"{function}: parts is a {came}; expected a list of Tensors") from None
    if not parts:
        raise ValueError(f"{function}: parts is empty; expected at least one Tensor")
    checked = tensors(function, **{f"parts[{i}]": part for i, part in enumerate(parts)})
    if axis is None:
        raise TypeError(f"{function}: axis is None; expected one axis")
    (axis,) = normalized_axes(function, axis, checked[0].ndim + added)
    for i, part in enumerate(checked):
        ours, first = list(part.shape), list(checked[0].shape)
        if not added and len(ours) == len(first):
            ours[axis] = first[axis] = 0
        if ours != first:
            raise ValueError(
                f"{function}: parts[{i}] has shape {part.shape} and parts[0] {checked[0].shape}; "
                + ("expected the same" if added else f"expected the same beside axis {axis}")
            )
    return checked, axis
