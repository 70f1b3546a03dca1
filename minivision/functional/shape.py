"""Reshape, transpose and index: the numbers stay the same, their positions change.

Each is a permutation or a selection of entries; its gradient puts every entry of dy back at the
position its value was taken from.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minivision.backend import Array, array_module, is_array
from minivision.functional.checks import new_shape, order_of_axes, takes_channels
from minivision.functional.inputs import tensors
from minivision.tensor import Tensor, record
from minivision.windows import Window


def reshape(x: Tensor | Array, *shape: int | tuple[int, ...]) -> Tensor:
    """The same entries, in C order, in a new shape; one size may be -1.  dx = dy in x's shape.

    >>> reshape(Tensor([[1.0, 2.0], [3.0, 4.0]]), 4)
    Tensor([1., 2., 3., 4.], float32)
    """
    (x,) = tensors("reshape", x=x)
    new, old = new_shape(x, shape), x.shape

    def backward(dy):
        return (dy.reshape(old),)

    return record(x.data.reshape(new), (x,), backward)


def transpose(x: Tensor | Array, axes: tuple[int, ...] | None = None) -> Tensor:
    """Axis i of the result is axis axes[i] of x; reversed by default.  dx = dy transposed back.

    axes is one tuple, as in `numpy.transpose(x, axes)`; PyTorch calls this `permute`.
    """
    (x,) = tensors("transpose", x=x)
    order = order_of_axes("transpose", axes, x.ndim)
    back = tuple([order.index(i) for i in range(x.ndim)])

    def backward(dy):
        return (dy.transpose(back),)

    return record(x.data.transpose(order), (x,), backward)


def getitem(x: Tensor | Array, index: Any) -> Tensor:
    """x[index], following NumPy's rules.  dx = dy at the chosen entries, 0 elsewhere.

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
    # Copy index arrays: the caller may change them before backward runs.
    parts = tuple([part.copy() if is_array(part) else part for part in parts])
    basic = all(part is None or isinstance(part, int | slice | type(...)) for part in parts)
    shape, xp = x.shape, array_module(x.data)
    if xp is not np and not basic and array_module(*parts) is np:
        np.broadcast_to(False, shape)[parts]  # CuPy wraps a bad index around; this raises

    def backward(dy):
        dx = xp.zeros_like(dy, shape=shape)
        if basic:
            dx[parts] = dy
        else:
            xp.add.at(dx, parts, dy)
        return (dx,)

    window = Window((1, 1)) if takes_channels(parts) else None
    return record(x.data[parts], (x,), backward, window=window)
