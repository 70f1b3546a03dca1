"""Reshape, flatten, transpose and indexing: the numbers stay, their places change.

Each is a permutation or a selection of entries; its gradient puts every entry of dy back where
the value came from.

Read next: functional/activation.py
"""

from __future__ import annotations

import math
from typing import Any

from minivision.autograd import Tensor, record
from minivision.backend import Array, array_module
from minivision.functional.checks import normalized_axes, tensors


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
    new = (*old[:start_axis], math.prod(old[start_axis:]))

    def backward(dy):
        return (dy.reshape(old),)

    return record(x.data.reshape(new), (x,), backward)


def transpose(x: Tensor | Array, axes: tuple[int, ...] | None = None) -> Tensor:
    """Axis i of the result is axis axes[i] of x; reversed by default.  dx = dy transposed back.

    That is NumPy's `transpose` and PyTorch's `permute`.
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
    basic = all(part is None or isinstance(part, int | slice | type(...)) for part in parts)
    shape, dtype, xp = x.shape, x.dtype, array_module(x.data)

    def backward(dy):
        dx = xp.zeros(shape, dtype)
        if basic:
            dx[parts] = dy
        else:
            xp.add.at(dx, parts, dy)
        return (dx,)

    return record(x.data[parts], (x,), backward)
