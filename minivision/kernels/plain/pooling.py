"""Maximum and average over windows, and their gradients: one pass over the KH·KW window views.

Also averages over windows that adapt to the size of the result.

Read next: kernels/door.py
"""

from __future__ import annotations

from minivision.backend import Array, array_module
from minivision.kernels.memory import BATCH_INNERMOST, empty
from minivision.kernels.windows import Geometry, crop, pad, windows


def max_pool(x: Array, geometry: Geometry) -> Array:
    """x (N, C, H, W) -> (N, C, OH, OW), the running maximum over the window views.

    The border counts as -∞, so it never wins.
    """
    xp = array_module(x)
    padded = pad(x, geometry.padding, -xp.inf)
    y = empty((*x.shape[:2], *geometry.output_size(*x.shape[2:])), x, BATCH_INNERMOST)
    y[...] = -xp.inf
    for _, _, view in windows(padded, geometry):
        xp.maximum(y, view, out=y)
    return y


def max_pool_gradient(dy: Array, x: Array, y: Array, geometry: Geometry) -> Array:
    """dy, y (N, C, OH, OW), x (N, C, H, W) -> dx: each dy goes to the first maximum of its window.

    `left` is the gradient not yet given away. A tap that equals the maximum takes what is left,
    so later equal taps find nothing.
    """
    padded = pad(x, geometry.padding, -array_module(x).inf)
    dpadded = empty(padded.shape, padded, BATCH_INNERMOST)
    dpadded[...] = 0
    left = empty(dy.shape, dy, BATCH_INNERMOST)
    left[...] = dy
    for (_, _, view), (_, _, dview) in zip(
        windows(padded, geometry), windows(dpadded, geometry), strict=True
    ):
        taken = left * (view == y)
        dview += taken
        left -= taken
    return crop(dpadded, geometry.padding)


def average_pool(x: Array, geometry: Geometry) -> Array:
    """x (N, C, H, W) -> (N, C, OH, OW), the mean over the window; the border counts as zeros."""
    KH, KW = geometry.kernel
    y = empty((*x.shape[:2], *geometry.output_size(*x.shape[2:])), x, BATCH_INNERMOST)
    y[...] = 0
    for _, _, view in windows(pad(x, geometry.padding), geometry):
        y += view
    y /= KH * KW
    return y


def average_pool_gradient(dy: Array, shape: tuple[int, ...], geometry: Geometry) -> Array:
    """dy (N, C, OH, OW) -> dx of this shape: every pixel of a window gets an equal share."""
    N, C, H, W = shape
    KH, KW = geometry.kernel
    PH, PW = geometry.padding
    share = dy / (KH * KW)
    dpadded = empty((N, C, H + 2 * PH, W + 2 * PW), dy, BATCH_INNERMOST)
    dpadded[...] = 0
    for _, _, dview in windows(dpadded, geometry):
        dview += share
    return crop(dpadded, geometry.padding)


def adaptive_bounds(n: int, parts: int) -> list[tuple[int, int]]:
    """Cut n pixels into `parts` windows as even as can be: ⌊i·n/parts⌋ to ⌈(i+1)·n/parts⌉.

    >>> adaptive_bounds(7, 3)
    [(0, 3), (2, 5), (4, 7)]
    """
    return [(i * n // parts, -(-(i + 1) * n // parts)) for i in range(parts)]


def adaptive_average_pool(x: Array, size: tuple[int, int]) -> Array:
    """x (N, C, H, W) -> (N, C, OH, OW), each the mean over its window of adaptive_bounds."""
    N, C, H, W = x.shape
    y = empty((N, C, *size), x, BATCH_INNERMOST)
    for i, (top, bottom) in enumerate(adaptive_bounds(H, size[0])):
        for j, (left, right) in enumerate(adaptive_bounds(W, size[1])):
            y[:, :, i, j] = x[:, :, top:bottom, left:right].mean(axis=(2, 3))
    return y


def adaptive_average_pool_gradient(dy: Array, shape: tuple[int, ...]) -> Array:
    """dy (N, C, OH, OW) -> dx of this shape: every pixel of a window gets an equal share."""
    H, W = shape[2:]
    dx = empty(shape, dy, BATCH_INNERMOST)
    dx[...] = 0
    for i, (top, bottom) in enumerate(adaptive_bounds(H, dy.shape[2])):
        for j, (left, right) in enumerate(adaptive_bounds(W, dy.shape[3])):
            pixels = (bottom - top) * (right - left)
            dx[:, :, top:bottom, left:right] += dy[:, :, i : i + 1, j : j + 1] / pixels
    return dx
