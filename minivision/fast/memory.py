"""Arrays in a chosen memory order.

The shape (N, C, H, W) says what the axes mean; the memory order says which of them is innermost.
NumPy's elementwise functions are fastest if all operands have the same order, so results keep the
memory layout of their input.
"""

from __future__ import annotations

import math

import numpy as np

from minivision.backend import Array, array_module
from minivision.fast import door
from minivision.fast.free_list import ALIGNMENT, SMALLEST, free_list
from minivision.windows import without_border

BATCH_INNERMOST = (1, 2, 3, 0)  # (N, C, H, W) in memory order: C, H, W, N


def empty(shape: tuple[int, ...], like: Array, order: tuple[int, ...] | None = None) -> Array:
    """An unfilled array of `like`'s library and dtype; `order` lists its axes, outermost first.

    On the CPU, large arrays reuse the memory of earlier ones (free_list.py).

    >>> import numpy as np
    >>> empty((2, 3, 4, 5), np.zeros(1), BATCH_INNERMOST).strides
    (8, 320, 80, 16)
    """
    if order is not None:
        array = empty(tuple([shape[axis] for axis in order]), like)
        return array.transpose([order.index(axis) for axis in range(len(shape))])
    size = math.prod(shape) * like.dtype.itemsize
    if not isinstance(like, np.ndarray):
        return array_module(like).empty(shape, like.dtype)
    if size < SMALLEST or not door.is_open():
        return np.empty(shape, like.dtype)
    block = free_list.take(size)
    start = -block.ctypes.data % ALIGNMENT
    return block[start : start + size].view(like.dtype).reshape(shape)


def bits_of(x: Array) -> Array:
    """A view of floats as integers of the same size. Multiplied by 0, even the bits of ∞ give 0.

    >>> (bits_of(np.array([np.inf, 2.0])) * [0, 1]).view(np.float64)
    array([0., 2.])
    """
    return x.view(f"i{x.itemsize}")


def empty_like(x: Array) -> Array:
    """An unfilled array with x's shape, dtype and memory layout."""
    return empty(x.shape, x, memory_order(x))


def memory_order(x: Array) -> tuple[int, ...]:
    """The axes of x from outermost to innermost in memory."""
    steps = [-abs(step) for step in x.strides]
    return tuple(sorted(range(x.ndim), key=steps.__getitem__))


def in_order(array: Array, order: tuple[int, ...]) -> Array:
    """The array, copied unless its axes already have this memory order, outermost first.

    >>> import numpy as np
    >>> in_order(np.zeros((2, 3, 4, 5)), BATCH_INNERMOST).strides
    (8, 320, 80, 16)
    """
    if array.transpose(order).flags.c_contiguous:
        return array
    y = empty(array.shape, array, order)
    y[...] = array
    return y


def bordered(x: Array, padding: tuple[int, int], value: float = 0) -> Array:
    """x (N, C, H, W) with a border of this value, batch innermost; copied only if necessary."""
    N, C, H, W = x.shape
    PH, PW = padding
    if PH == PW == 0:
        return batch_innermost(x)
    padded = empty((N, C, H + 2 * PH, W + 2 * PW), x, BATCH_INNERMOST)
    padded[...] = value
    without_border(padded, padding)[...] = x
    return padded


def batch_innermost(x: Array) -> Array:
    """x (N, C, H, W), copied unless the batch is already innermost in memory."""
    return in_order(x, BATCH_INNERMOST)
