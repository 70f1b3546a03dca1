"""Stacked rows: the columns of im2col, built with KW copies instead of KH·KW.

Expand the image along the kernel's width only,

    stacked[h, c, j, ow, n] = x[c, h, ow·stride + j·dilation - padding, n]      (0 outside),

with the batch innermost. The windows of output row r are then the rows r·stride to r·stride + KH:

    stacked[r·stride : r·stride + KH], seen as (KH·C·KW, OW·N), is the matrix of columns,

which is a view. Consecutive output rows share KH - stride of these rows, so nothing is copied KH
times, and no padded image is made. Weights must be laid out as (F, KH, C, KW) to match these
columns.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from minivision.backend import Array
from minivision.fast.memory import empty
from minivision.windows import Window


def stack_rows(
    x: Array, window: Window, lines: range, columns: range, *, rows_first: bool = True
) -> Array:
    """x (C, H, W, N) -> stacked (h, C, KW, w, N), or (C, KW, h, w, N) if not rows_first.

    lines: the h image rows to take, possibly outside the image; columns: the w output columns.

    >>> import numpy as np
    >>> x = np.arange(1.0, 5.0).reshape(1, 1, 4, 1)
    >>> window = Window(kernel=(1, 3), padding=(0, 1))
    >>> stack_rows(x, window, range(1), range(4)).reshape(3, 4)
    array([[0., 1., 2., 3.],
           [1., 2., 3., 4.],
           [2., 3., 4., 0.]])
    """
    C, H, W, N = x.shape
    KW, h, w = window.kernel[1], len(lines), len(columns)
    if rows_first:
        stacked = empty((h, C, KW, w, N), x)
        places = stacked
    else:
        stacked = empty((C, KW, h, w, N), x)
        places = stacked.transpose(2, 0, 1, 3, 4)
    top, bottom = inside(lines, H)
    if bottom - top < h:
        places[:top] = 0
        places[bottom:] = 0
    places = places[top:bottom]
    image = x.transpose(1, 0, 2, 3)[_within(lines[top:bottom])]
    for j, met, pixels in taps(window, columns, W):
        if met.start > 0:
            places[:, :, j, : met.start] = 0
        if met.stop < w:
            places[:, :, j, met.stop :] = 0
        places[:, :, j, met] = image[:, :, pixels]
    return stacked


def unstack_rows(stacked: Array, dx: Array, window: Window, lines: range, columns: range):
    """Add stacked (h, C, KW, w, N) to these rows of dx (C, H, W, N), all inside the image.

    This is the adjoint of `stack_rows`: every number is added to the pixel it was copied from.
    """
    image = dx.transpose(1, 0, 2, 3)[_within(lines)]
    for j, met, pixels in taps(window, columns, dx.shape[2]):
        image[:, :, pixels] += stacked[:, :, j, met]


def windows_of(stacked: Array, window: Window, rows: int) -> Array:
    """stacked (h, C, KW, w, N) -> (rows, KH·C·KW, w·N): the columns of each output row, a view."""
    h, C, KW, w, N = stacked.shape
    KH, SH = window.kernel[0], window.stride[0]
    row, line, item = stacked.strides[0], w * N * stacked.itemsize, stacked.itemsize
    shape, strides = (rows, KH * C * KW, w * N), (SH * row, line, item)
    return np.ndarray(shape, stacked.dtype, stacked, strides=strides)


def covered(window: Window, rows: range) -> range:
    """The image rows under the windows of these output rows, including rows outside the image."""
    KH, SH, PH = window.kernel[0], window.stride[0], window.padding[0]
    return range(rows.start * SH - PH, (rows.stop - 1) * SH - PH + KH)


@lru_cache(maxsize=4096)  # every training step makes the same calls
def taps(window: Window, columns: range, W: int) -> list[tuple[int, slice, slice]]:
    """For each kernel column j: the tile columns where it covers a pixel, and these pixels."""
    found = []
    (_, KW), (_, SW), (_, PW), (_, DW) = window
    for j in range(KW):
        first = columns.start * SW + j * DW - PW  # the pixel under the first column
        met = range(first, first + len(columns) * SW, SW)
        left, right = inside(met, W)
        found.append((j, slice(left, right), _within(met[left:right])))
    return found


def inside(places: range, size: int) -> tuple[int, int]:
    """The start and end of the part of a range that lies within an axis of this size.

    >>> inside(range(-2, 8, 2), 5)
    (1, 4)
    """
    start, step = places.start, places.step
    first = min(max(0, -(start // step)), len(places))
    return first, max(first, min(len(places), (size - 1 - start) // step + 1))


def cut(n: int, size: int, workers: int = 1) -> list[range]:
    """Split 0 to n into as few ranges of at most `size` numbers as possible, of similar lengths.

    With several workers, each gets the same number of ranges, if n is large enough.

    >>> cut(10, 4)
    [range(0, 3), range(3, 6), range(6, 10)]
    >>> cut(10, 4, workers=2)
    [range(0, 2), range(2, 5), range(5, 7), range(7, 10)]
    """
    parts = -(-n // max(1, size))
    parts = min(n, -(-parts // workers) * workers)
    return [range(i * n // parts, (i + 1) * n // parts) for i in range(parts)]


def _within(indices: range) -> slice:
    """The slice that selects these indices, which must not be negative."""
    return slice(indices.start, indices.stop, indices.step) if indices else slice(0, 0)
