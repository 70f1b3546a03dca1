"""Max pooling as running maxima along the rows and the columns, and its gradient.

The maximum of a window is the maximum of the maxima of its columns: KH + KW steps instead of KH·KW.

The gradient takes the maxima of the window's rows instead, so that the first maximum in reading
order wins, as in PyTorch: first the row, then the column in it. It is peeled off: the first tap
that equals the maximum takes all that is left, and what nobody took before is the last tap's.

Read next: kernels/fast/blocks.py
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from minivision.backend import Array
from minivision.kernels import choice
from minivision.kernels.fast.stacked_rows import cut
from minivision.kernels.memory import batch_innermost, empty
from minivision.kernels.windows import Geometry, crop, pad
from minivision.kernels.workers import part, share

_MASK = np.zeros(0, bool)  # what a mask is like


def max_pool(x: Array, geometry: Geometry) -> Array:
    """x (N, C, H, W) -> (N, C, OH, OW). The border counts as -∞, so it never wins."""
    image = pad(x, geometry.padding, -np.inf).transpose(1, 2, 3, 0)
    y = empty((len(image), *geometry.output_size(*x.shape[2:]), len(x)), x)
    workers = choice.workers(elements=image.size)

    def work(worker: int) -> None:
        for channels, rows, lines in _tiles(image, y, geometry, worker, workers):
            above = _row_taps(image[channels, lines], geometry)  # KH views (C, rows, W, N)
            maxima = _running_maximum(above, empty(above[0].shape, y))
            _running_maximum(_column_taps(maxima, y.shape[2], geometry), y[channels, rows])

    share(work, workers)
    return y.transpose(3, 0, 1, 2)


def max_pool_gradient(dy: Array, x: Array, y: Array, geometry: Geometry) -> Array:
    """dy, y (N, C, OH, OW), x (N, C, H, W) -> dx: each dy goes to the first maximum of its window.

    The rows' maxima are computed again, tile by tile, rather than kept.
    """
    image = pad(x, geometry.padding, -np.inf).transpose(1, 2, 3, 0)
    maps, upstream = (batch_innermost(a).transpose(1, 2, 3, 0) for a in (y, dy))
    dimage = empty(image.shape, x)
    workers = choice.workers(elements=image.size)
    # Windows side by side without gaps: every pixel is met once, so nothing has to be added up.
    (OH, OW), size = maps.shape[1:3], image.shape[1:3]
    disjoint = geometry.kernel == geometry.stride and size == (
        OH * geometry.kernel[0], OW * geometry.kernel[1],
    )  # fmt: skip

    def work(worker: int) -> None:
        for channels, rows, lines in _tiles(image, maps, geometry, worker, workers):
            if rows.start == 0 and not disjoint:
                dimage[channels] = 0
            pixels, dpixels = image[channels, lines], dimage[channels, lines]
            beside = _column_taps(pixels, maps.shape[2], geometry)  # KW views (C, lines, OW, N)
            maxima = _running_maximum(beside, empty(beside[0].shape, pixels))
            dmaxima = empty(maxima.shape, maxima)
            if not disjoint:
                dmaxima[...] = 0
            dabove = _row_taps(dmaxima, geometry)
            _peel(
                upstream[channels, rows],
                maps[channels, rows],
                _row_taps(maxima, geometry),
                dabove,
                disjoint,
            )
            dbeside = _column_taps(dpixels, maps.shape[2], geometry)
            _peel(dmaxima, maxima, beside, dbeside, disjoint)

    share(work, workers)
    return crop(dimage.transpose(3, 0, 1, 2), geometry.padding)


def _tiles(
    image: Array, maps: Array, geometry: Geometry, worker: int, workers: int
) -> Iterator[tuple[slice, slice, slice]]:
    """The worker's tiles: channels, output rows, and the image rows under their windows."""
    C, H, W, N = image.shape
    (KH, _), (SH, _) = geometry.kernel, geometry.stride
    mine = part(list(range(C)), worker, workers)
    depth, height = choice.pooling_tile(geometry, maps.shape[1], W * N * image.itemsize)
    for some in cut(len(mine), depth):
        channels = slice(mine[some.start], mine[some.start] + len(some))
        for rows in cut(maps.shape[1], height):
            lines = slice(rows.start * SH, (rows.stop - 1) * SH + KH)
            yield channels, slice(rows.start, rows.stop), lines


def _column_taps(pixels: Array, OW: int, geometry: Geometry) -> list[Array]:
    """What each of the KW columns of the window meets: views (C, h, OW, N) of (C, h, W, N)."""
    KW, SW = geometry.kernel[1], geometry.stride[1]
    return [pixels[:, :, j : j + (OW - 1) * SW + 1 : SW] for j in range(KW)]


def _row_taps(maxima: Array, geometry: Geometry) -> list[Array]:
    """What each of the KH rows of the window meets: views (C, rows, W, N) of (C, h, W, N)."""
    KH, SH = geometry.kernel[0], geometry.stride[0]
    last = maxima.shape[1] - KH
    return [maxima[:, i : i + last + 1 : SH] for i in range(KH)]


def _running_maximum(taps: list[Array], out: Array) -> Array:
    np.maximum(taps[0], taps[-1], out=out)
    for tap in taps[1:-1]:
        np.maximum(out, tap, out=out)
    return out


def _peel(dy: Array, y: Array, taps: list[Array], dtaps: list[Array], disjoint: bool) -> None:
    """Give dy to the dtap of the first tap that equals y: added, or written where disjoint."""
    left, rest = dy, empty(dy.shape, dy)
    first, taken = empty(dy.shape, _MASK), empty(dy.shape, dy)
    for tap, dtap in zip(taps[:-1], dtaps[:-1], strict=True):
        np.equal(tap, y, out=first)
        np.multiply(left, first, out=taken)
        if disjoint:
            dtap[...] = taken
        else:
            dtap += taken
        left = np.subtract(left, taken, out=rest)
    if disjoint:
        dtaps[-1][...] = left
    else:
        dtaps[-1][...] += left
