"""Pooling: running maxima along rows and columns for max, running sums for averages.

The maximum of a window is the maximum of the maxima of its columns: KH + KW steps instead of KH·KW.

The gradient uses the maxima of the window's rows instead, so that the first maximum in reading
order receives it, as in PyTorch: first the row is found, then the column within the row. Taps are
tried in order; the first one equal to the maximum takes the gradient, and the last tap takes what
remains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minivision.backend import Array
from minivision.fast import choice
from minivision.fast.memory import (
    BATCH_INNERMOST,
    batch_innermost,
    bits_of,
    bordered,
    empty,
    in_order,
    memory_order,
)
from minivision.fast.stacked_rows import cut
from minivision.fast.workers import part, share
from minivision.windows import Window, without_border

_MASK = np.zeros(0, bool)  # prototype that gives `empty` its dtype


def max_pool2d(x: Array, window: Window) -> tuple[Array, Callable]:
    """The value of `functional.max_pool2d`, and its backward function."""
    y = max_pool(x, window)

    def backward(dy: Array) -> tuple[Array]:
        return (in_order(max_pool_gradient(dy, x, y, window), memory_order(x)),)

    return y, backward


def avg_pool2d(x: Array, window: Window, count: Any) -> tuple[Array, Callable]:
    """The value of `functional.avg_pool2d`, and its backward function; count: pixels per window."""
    N, C, H, W = x.shape
    order, (PH, PW) = memory_order(x), window.padding
    y = empty((N, C, *window.output_size(H, W)), x, BATCH_INNERMOST)
    y[...] = 0
    for pixels in window.taps(bordered(x, window.padding)):
        y += pixels
    y /= count

    def backward(dy: Array) -> tuple[Array]:
        share = dy / count
        dpadded = empty((N, C, H + 2 * PH, W + 2 * PW), dy, BATCH_INNERMOST)
        dpadded[...] = 0
        for dpixels in window.taps(dpadded):
            dpixels += share
        return (in_order(without_border(dpadded, window.padding), order),)

    return y, backward


def max_pool(x: Array, window: Window) -> Array:
    """x (N, C, H, W) -> (N, C, OH, OW). The border counts as -∞, so it never wins."""
    image = bordered(x, window.padding, -np.inf).transpose(1, 2, 3, 0)
    y = empty((len(image), *window.output_size(*x.shape[2:]), len(x)), x)
    workers = choice.workers(elements=image.size)

    def work(worker: int) -> None:
        for channels, rows, lines in _tiles(image, y, window, worker, workers):
            above = _row_taps(image[channels, lines], window)  # KH views (C, rows, W, N)
            maxima = _running(np.maximum, above, empty(above[0].shape, y))
            _running(np.maximum, _column_taps(maxima, y.shape[2], window), y[channels, rows])

    share(work, workers)
    return y.transpose(3, 0, 1, 2)


def max_pool_gradient(dy: Array, x: Array, y: Array, window: Window) -> Array:
    """dy, y (N, C, OH, OW), x (N, C, H, W) -> dx: each dy goes to the first maximum of its window.

    The rows' maxima are recomputed, tile by tile, rather than kept.
    """
    # As in functional/pooling.py, NaN becomes ∞; the border is NaN, which never matches.
    if np.isnan(y.max()):
        x, y = (np.where(np.isnan(a), np.inf, a) for a in (x, y))
    image = bordered(x, window.padding, np.nan).transpose(1, 2, 3, 0)
    maps, upstream = (batch_innermost(a).transpose(1, 2, 3, 0) for a in (y, dy))
    dimage = empty(image.shape, x)
    workers = choice.workers(elements=image.size)
    # If windows tile the image without gaps, every pixel is covered once, so nothing is summed.
    (OH, OW), size = maps.shape[1:3], image.shape[1:3]
    disjoint = window.kernel == window.stride and size == (
        OH * window.kernel[0], OW * window.kernel[1],
    )  # fmt: skip

    def work(worker: int) -> None:
        for channels, rows, lines in _tiles(image, maps, window, worker, workers):
            pixels, dpixels = image[channels, lines], dimage[channels, lines]
            dy_tile, y_tile = upstream[channels, rows], maps[channels, rows]
            if disjoint:
                taps, dtaps = (_taps(a, OW, window) for a in (pixels, dpixels))
                _peel(dy_tile, y_tile, taps, dtaps, disjoint)
                continue
            if rows.start == 0:
                dimage[channels] = 0
            beside = _column_taps(pixels, OW, window)  # KW views (C, lines, OW, N)
            # If one operand is NaN, np.fmax returns the other.
            maxima = _running(np.fmax, beside, empty(beside[0].shape, pixels))
            dmaxima = empty(maxima.shape, maxima)
            dmaxima[...] = 0
            _peel(dy_tile, y_tile, _row_taps(maxima, window), _row_taps(dmaxima, window), False)
            _peel(dmaxima, maxima, beside, _column_taps(dpixels, OW, window), False)

    share(work, workers)
    return without_border(dimage.transpose(3, 0, 1, 2), window.padding)


def _tiles(
    image: Array, maps: Array, window: Window, worker: int, workers: int
) -> Iterator[tuple[slice, slice, slice]]:
    """The worker's tiles: channels, output rows, and the image rows under their windows."""
    C, H, W, N = image.shape
    (KH, _), (SH, _) = window.kernel, window.stride
    mine = part(list(range(C)), worker, workers)
    depth, height = choice.pooling_tile(window, maps.shape[1], W * N * image.itemsize)
    for some in cut(len(mine), depth):
        channels = slice(mine[some.start], mine[some.start] + len(some))
        for rows in cut(maps.shape[1], height):
            lines = slice(rows.start * SH, (rows.stop - 1) * SH + KH)
            yield channels, slice(rows.start, rows.stop), lines


def _column_taps(pixels: Array, OW: int, window: Window) -> list[Array]:
    """The pixels under each of the window's KW columns: views (C, h, OW, N) of (C, h, W, N)."""
    KW, SW = window.kernel[1], window.stride[1]
    return [pixels[:, :, j : j + (OW - 1) * SW + 1 : SW] for j in range(KW)]


def _row_taps(maxima: Array, window: Window) -> list[Array]:
    """The pixels under each of the window's KH rows: views (C, rows, W, N) of (C, h, W, N)."""
    KH, SH = window.kernel[0], window.stride[0]
    last = maxima.shape[1] - KH
    return [maxima[:, i : i + last + 1 : SH] for i in range(KH)]


def _taps(pixels: Array, OW: int, window: Window) -> list[Array]:
    """The pixels under each tap of the window, in reading order: views (C, rows, OW, N)."""
    rows = _row_taps(pixels, window)
    return [tap for row in rows for tap in _column_taps(row, OW, window)]


def _running(larger: np.ufunc, taps: list[Array], out: Array) -> Array:
    larger(taps[0], taps[-1], out=out)
    for tap in taps[1:-1]:
        larger(out, tap, out=out)
    return out


def _peel(dy: Array, y: Array, taps: list[Array], dtaps: list[Array], disjoint: bool) -> None:
    """Give dy to the dtap of the first tap that equals y: added, or written if disjoint.

    The bits of dy, as integers, are multiplied by 1 or 0: as floats, ∞·0 would be NaN.
    """
    left, spare = bits_of(dy), bits_of(empty(dy.shape, dy))
    first, taken = empty(dy.shape, _MASK), None if disjoint else empty(dy.shape, dy)
    rests = [spare] * (len(taps) - 1)  # where to write the remaining gradient
    if disjoint and rests:
        rests[-1] = bits_of(dtaps[-1])
    for tap, dtap, rest in zip(taps[:-1], dtaps[:-1], rests, strict=True):
        np.equal(tap, y, out=first)
        share = np.multiply(left, first, out=bits_of(dtap if taken is None else taken))
        if taken is not None:
            dtap += taken
        left = np.subtract(left, share, out=rest)
    if not disjoint:
        dtaps[-1][...] += left.view(dy.dtype)
    elif not rests:  # windows of one pixel
        dtaps[-1][...] = dy
