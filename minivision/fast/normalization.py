"""Local response normalization, for a few pixels at a time, with all their channels.

The sum over neighbouring channels is a handful of shifted additions, and s^-0.75 is 1 / (√s·√√s),
which costs far less than a power.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minivision.backend import Array
from minivision.fast import choice
from minivision.fast.memory import batch_innermost, empty, in_order, memory_order
from minivision.fast.stacked_rows import cut
from minivision.fast.workers import part, share


def local_response_norm(
    x: Array, size: int, alpha: float, beta: float, k: float
) -> tuple[Array, Callable]:
    """y = x·s^-β and its backward function, which recomputes s and y instead of keeping them."""

    def value(x: Array, y: Array) -> None:
        scale = _scale(x, size, alpha, k)
        np.multiply(x, _power(scale, beta), out=y)

    def gradient(dy: Array, x: Array, dx: Array) -> None:
        scale = _scale(x, size, alpha, k)
        shrunk = _power(scale, beta)
        shrunk *= dy  # dy·s^-β
        np.divide(shrunk, scale, out=scale)
        scale *= x  # dy·y/s
        shared = _window_sum(scale, size)
        shared *= -2 * alpha * beta
        shared *= x
        np.add(shrunk, shared, out=dx)

    def backward(dy: Array) -> tuple[Array]:
        return (in_order(_by_pixels(gradient, dy, x), memory_order(x)),)

    return _by_pixels(value, x), backward


def _by_pixels(work: Callable[..., None], *inputs: Array) -> Array:
    """Call work(*inputs, out) on arrays (C, pixels), split so that they stay in the cache."""
    N, C, H, W = inputs[0].shape
    maps = [batch_innermost(x).transpose(1, 2, 3, 0).reshape(C, -1) for x in inputs]
    out = empty((C, H, W, N), inputs[0])
    maps.append(out.reshape(C, -1))
    tiles = cut(H * W * N, choice.BLOCK // C)
    workers = choice.workers(elements=out.size)

    def work_of(worker: int) -> None:
        for pixels in part(tiles, worker, workers):
            work(*[x[:, pixels.start : pixels.stop] for x in maps])

    share(work_of, workers)
    return out.transpose(3, 0, 1, 2)


def _scale(x: Array, size: int, alpha: float, k: float) -> Array:
    scale = _window_sum(np.multiply(x, x, out=empty(x.shape, x)), size)
    scale *= alpha
    scale += k
    return scale


def _window_sum(x: Array, size: int) -> Array:
    """x (C, pixels) -> the sum over the `size` channels around each one."""
    y = empty(x.shape, x)
    y[...] = x
    for shift in range(1, min(size // 2, len(x) - 1) + 1):
        y[shift:] += x[:-shift]
        y[:-shift] += x[shift:]
    return y


def _power(scale: Array, beta: float) -> Array:
    """scale^-β as a new array."""
    if beta != 0.75:
        return scale**-beta
    root = np.sqrt(scale, out=empty(scale.shape, scale))
    root *= np.sqrt(root, out=empty(scale.shape, scale))
    return np.divide(1, root, out=root)
