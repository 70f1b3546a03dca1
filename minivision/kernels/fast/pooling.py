"""Max pooling as running maxima, along the columns and then the rows, and its gradient.

The maximum of a window is the maximum of its rows' maxima: KW + KH steps instead of KW·KH. The
gradient goes back the same way. It is peeled off: the first tap that equals the maximum takes all
that is left, and what nobody took before is the last tap's. So the first maximum in reading order
wins, as in PyTorch: the first row whose maximum it is, and in that row the first column.

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


def max_pool(x: Array, geometry: Geometry) -> Array:
    """x (N, C, H, W) -> (N, C, OH, OW). The border counts as -∞, so it never wins."""
    image = pad(x, geometry.padding, -np.inf).transpose(1, 2, 3, 0)
    y = empty((len(image), *geometry.output_size(*x.shape[2:]), len(x)), x)
    workers = choice.workers(elements=image.size)

    def work(worker: int) -> None:
        for channels, rows, lines in _tiles(image, y, geometry, worker, workers):
            maxima = _row_maxima(image[channels, lines], y.shape[2], geometry)
            _running_maximum(_row_taps(maxima, geometry), y[channels, rows])

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

    def work(worker: int) -> None:
        for channels, rows, lines in _tiles(image, maps, geometry, worker, workers):
            if rows.start == 0:
                dimage[channels] = 0
            pixels, dpixels = image[channels, lines], dimage[channels, lines]
            maxima = _row_maxima(pixels, maps.shape[2], geometry)
            dmaxima = empty(maxima.shape, maxima)
            dmaxima[...] = 0
            taps, dtaps = (_row_taps(a, geometry) for a in (maxima, dmaxima))
            _peel(upstream[channels, rows], maps[channels, rows], taps, dtaps)
            taps, dtaps = (_column_taps(a, maps.shape[2], geometry) for a in (pixels, dpixels))
            _peel(dmaxima, maxima, taps, dtaps)

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


def _row_maxima(pixels: Array, OW: int, geometry: Geometry) -> Array:
    """pixels (C, h, W, N) -> (C, h, OW, N), the maxima along the windows' rows."""
    C, h, W, N = pixels.shape
    maxima = empty((C, h, OW, N), pixels)
    _running_maximum(_column_taps(pixels, OW, geometry), maxima)
    return maxima


def _column_taps(pixels: Array, OW: int, geometry: Geometry) -> list[Array]:
    """What each of the KW columns of the window meets: views (C, h, OW, N) of pixels."""
    KW, SW = geometry.kernel[1], geometry.stride[1]
    return [pixels[:, :, j : j + (OW - 1) * SW + 1 : SW] for j in range(KW)]


def _row_taps(maxima: Array, geometry: Geometry) -> list[Array]:
    """What each of the KH rows of the window meets: views (C, rows, OW, N) of maxima."""
    KH, SH = geometry.kernel[0], geometry.stride[0]
    last = maxima.shape[1] - KH
    return [maxima[:, i : i + last + 1 : SH] for i in range(KH)]


def _running_maximum(taps: list[Array], out: Array) -> None:
    np.maximum(taps[0], taps[-1], out=out)
    for tap in taps[1:-1]:
        np.maximum(out, tap, out=out)


def _peel(dy: Array, y: Array, taps: list[Array], dtaps: list[Array]) -> None:
    """Add dy to the dtap of the first tap that equals y."""
    left = dy
    for tap, dtap in zip(taps[:-1], dtaps[:-1], strict=True):
        taken = empty(dy.shape, dy)
        np.equal(tap, y, out=taken, casting="unsafe")  # 1 or 0, as floats
        taken *= left
        dtap += taken
        left = np.subtract(left, taken, out=taken)
    dtaps[-1][...] += left
