"""ReLU and its gradient, block by block."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from minivision.backend import Array
from minivision.fast import choice
from minivision.fast.blocks import in_blocks
from minivision.fast.memory import bits_of, empty_like, in_order, memory_order


def relu(x: Array) -> tuple[Array, Callable]:
    """max(x, 0), and its backward function; the gradient has the memory layout of y."""
    y = empty_like(x)
    in_blocks(_relu, x, y)

    def backward(dy: Array) -> tuple[Array]:
        dx = empty_like(y)
        in_blocks(_relu_gradient, in_order(dy, memory_order(y)), y, dx)
        return (dx,)

    return y, backward


def _relu(x: Array, y: Array) -> None:
    # Compare with an array of zeros, because NumPy's loop for a single number is slower.
    zeros = _zeros(choice.BLOCK, x.dtype)[: x.size] if x.ndim == 1 and x.size <= choice.BLOCK else 0
    np.maximum(x, zeros, out=y)


def _relu_gradient(dy: Array, y: Array, dx: Array) -> None:
    # Multiply the bits of dy, as integers, by 1 or 0: with floats, ∞·0 would be NaN. (np.where is
    # slower.)
    bits = bits_of(dx)
    np.not_equal(y, 0, out=bits, casting="unsafe")
    bits *= bits_of(dy)


@cache
def _zeros(size: int, dtype: np.dtype) -> Array:
    return np.zeros(size, dtype)
