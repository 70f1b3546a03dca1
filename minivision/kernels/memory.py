"""Arrays in a chosen memory order.

The shape (N, C, H, W) says what the axes mean, the memory order which of them lies innermost.
NumPy's elementwise functions are fastest where all operands agree in that order, so what is
computed from x lies in memory as x does.

Read next: kernels/broadcasting.py
"""

from __future__ import annotations

from minivision.backend import Array, array_module

BATCH_INNERMOST = (1, 2, 3, 0)  # (N, C, H, W) as it lies in memory: C, H, W, N


def empty(shape: tuple[int, ...], like: Array, order: tuple[int, ...] | None = None) -> Array:
    """An unfilled array of `like`'s library and dtype; `order` lists its axes, outermost first.

    >>> import numpy as np
    >>> empty((2, 3, 4, 5), np.zeros(1), BATCH_INNERMOST).strides
    (8, 320, 80, 16)
    """
    xp = array_module(like)
    if order is None:
        return xp.empty(shape, like.dtype)
    block = xp.empty([shape[axis] for axis in order], like.dtype)
    return block.transpose([order.index(axis) for axis in range(len(shape))])


def memory_order(x: Array) -> tuple[int, ...]:
    """The axes of x from outermost to innermost in memory."""
    return tuple(sorted(range(x.ndim), key=lambda axis: -abs(x.strides[axis])))


def in_order(array: Array, order: tuple[int, ...]) -> Array:
    """The array, copied where its axes do not lie in memory in this order, outermost first.

    >>> import numpy as np
    >>> in_order(np.zeros((2, 3, 4, 5)), BATCH_INNERMOST).strides
    (8, 320, 80, 16)
    """
    if array.transpose(order).flags.c_contiguous:
        return array
    y = empty(array.shape, array, order)
    y[...] = array
    return y


def batch_innermost(x: Array) -> Array:
    """x (N, C, H, W), copied where its batch does not lie innermost in memory."""
    return in_order(x, BATCH_INNERMOST)
