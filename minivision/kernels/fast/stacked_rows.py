"""Stacked rows: the columns of im2col, built with KW copies instead of KH·KW.

Expand the image along the kernel's width only,

    stacked[h, c, j, ow, n] = x[c, h, ow·stride + j·dilation - padding, n]      (0 outside),

with the batch innermost. The windows of output row r are then the rows r·stride to r·stride + KH:

    stacked[r·stride : r·stride + KH], seen as (KH·C·KW, OW·N), is the matrix of columns,

a view. Rows that follow one another share KH - stride of their rows, so nothing is copied KH times,
and no padded image is made. Weights must lie as (F, KH, C, KW) to meet these columns.

Read next: kernels/fast/convolution.py
"""

from __future__ import annotations

from collections.abc import Iterator

from numpy.lib.stride_tricks import as_strided

from minivision.backend import Array
from minivision.kernels.memory import empty
from minivision.kernels.windows import Geometry


def stack_rows(
    x: Array, geometry: Geometry, lines: range, columns: range, *, rows_first: bool = True
) -> Array:
    """x (C, H, W, N) -> stacked (h, C, KW, w, N), or (C, KW, h, w, N) where not rows_first.

    lines: the h image rows to take, also ones outside of the image; columns: the w output columns.

    >>> import numpy as np
    >>> x = np.arange(1.0, 5.0).reshape(1, 1, 4, 1)
    >>> geometry = Geometry(kernel=(1, 3), padding=(0, 1))
    >>> stack_rows(x, geometry, range(1), range(4)).reshape(3, 4)
    array([[0., 1., 2., 3.],
           [1., 2., 3., 4.],
           [2., 3., 4., 0.]])
    """
    C, H, W, N = x.shape
    KW, h, w = geometry.kernel[1], len(lines), len(columns)
    if rows_first:
        stacked = empty((h, C, KW, w, N), x)
        places = stacked
    else:
        stacked = empty((C, KW, h, w, N), x)
        places = stacked.transpose(2, 0, 1, 3, 4)
    existing = [k for k, line in enumerate(lines) if 0 <= line < H]
    top, bottom = (existing[0], existing[-1] + 1) if existing else (0, 0)
    places[:top] = 0
    places[bottom:] = 0
    image = x.transpose(1, 0, 2, 3)[_within(lines[top:bottom])]
    for j, met, pixels in taps(geometry, columns, W):
        places[top:bottom, :, j, : met.start] = 0
        places[top:bottom, :, j, met.stop :] = 0
        places[top:bottom, :, j, met] = image[:, :, pixels]
    return stacked


def unstack_rows(stacked: Array, dx: Array, geometry: Geometry, lines: range, columns: range):
    """Add stacked (h, C, KW, w, N) to these rows of dx (C, H, W, N), all inside of the image.

    The adjoint of `stack_rows`: every number goes back to the pixel it was copied from.
    """
    image = dx.transpose(1, 0, 2, 3)[_within(lines)]
    for j, met, pixels in taps(geometry, columns, dx.shape[2]):
        image[:, :, pixels] += stacked[:, :, j, met]


def windows_of(stacked: Array, geometry: Geometry, rows: int) -> Array:
    """stacked (h, C, KW, w, N) -> (rows, KH·C·KW, w·N): the columns of every output row, views."""
    h, C, KW, w, N = stacked.shape
    KH, SH = geometry.kernel[0], geometry.stride[0]
    row, line, item = stacked.strides[0], w * N * stacked.itemsize, stacked.itemsize
    return as_strided(stacked, (rows, KH * C * KW, w * N), (SH * row, line, item))


def covered(geometry: Geometry, rows: range) -> range:
    """The image rows under the windows of these output rows, also those outside of the image."""
    KH, SH, PH = geometry.kernel[0], geometry.stride[0], geometry.padding[0]
    return range(rows.start * SH - PH, (rows.stop - 1) * SH - PH + KH)


def taps(geometry: Geometry, columns: range, W: int) -> Iterator[tuple[int, slice, slice]]:
    """For every kernel column j: the places in a tile where it meets a pixel, and those pixels."""
    KW, SW, PW, DW = (pair[1] for pair in geometry)
    for j in range(KW):
        shift = j * DW - PW  # output column ow meets pixel ow·SW + shift
        left = min(max(columns.start, -(shift // SW)), columns.stop)
        right = max(left, min(columns.stop, (W - 1 - shift) // SW + 1))
        met = range(left * SW + shift, right * SW + shift, SW)
        yield j, slice(left - columns.start, right - columns.start), _within(met)


def cut(n: int, size: int) -> list[range]:
    """0 to n in as few ranges of at most `size` as possible, as even as can be.

    >>> cut(10, 4)
    [range(0, 3), range(3, 6), range(6, 10)]
    """
    parts = -(-n // max(1, size))
    return [range(i * n // parts, (i + 1) * n // parts) for i in range(parts)]


def _within(indices: range) -> slice:
    """The slice that picks these indices, none of which is negative."""
    return slice(indices.start, indices.stop, indices.step) if indices else slice(0, 0)
