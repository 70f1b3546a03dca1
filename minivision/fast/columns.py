"""Fast convolution for small outputs: im2col in one copy, and one matrix product.

A single image, or a few images with small maps, have only a few hundred positions, so rearranging
the weights for stacked rows would take longer than the product. Here the weights are not
rearranged. All windows, which are a view of the padded image with six axes, are copied to columns
at once:

    windows[c, i, j, r, s, n] = padded[c, r·stride + i·dilation, s·stride + j·dilation, n]

The view repeats pixels instead of copying them: steps along i and along r move through the same
memory, but by different distances.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from minivision.backend import Array
from minivision.fast import choice
from minivision.fast.memory import bordered, empty
from minivision.fast.stacked_rows import cut
from minivision.fast.workers import Work, part
from minivision.windows import Window


def columns_work(
    image: Array,
    weight: Array,
    bias: Array | None,
    maps: Array,
    window: Window,
    workers: int,
) -> Work:
    """The work of each worker: fill some output rows of maps (G, F, OH, OW, N).

    image (G, C, H, W, N), weight (G·F, C, KH, KW), bias (G·F).
    """
    G, F, OH, OW, N = maps.shape
    filters = weight.reshape(G, F, -1)
    windows = windows_of_all(image, window, (OH, OW))
    height = choice.column_rows(filters.shape[2] * OW * N * image.itemsize)
    bands = list(product(range(G), cut(OH, height, workers)))

    def work(worker: int) -> None:
        for group, rows in part(bands, worker, workers):
            band = windows[group, ..., rows.start : rows.stop, :, :]
            columns = empty(band.shape, image)
            columns[...] = band
            y = maps[group].reshape(F, -1)[:, rows.start * OW * N : rows.stop * OW * N]
            np.matmul(filters[group], columns.reshape(filters.shape[2], -1), out=y)
            if bias is not None:
                y += bias.reshape(G, F, 1)[group]

    return work


def windows_of_all(image: Array, window: Window, size: tuple[int, int]) -> Array:
    """image (G, C, H, W, N) -> (G, C, KH, KW, OH, OW, N), a view; size is (OH, OW).

    >>> x = np.arange(9.0).reshape(1, 1, 3, 3, 1)
    >>> windows_of_all(x, Window(kernel=(2, 2)), (2, 2))[0, 0, ..., 0, 0, 0]
    array([[0., 1.],
           [3., 4.]])
    """
    G, C, H, W, N = image.shape
    (KH, KW), (SH, SW), padding, (DH, DW) = window
    padded = bordered(image.reshape(G * C, H, W, N).transpose(3, 0, 1, 2), padding)
    memory = padded.transpose(1, 2, 3, 0)  # (G·C, H, W, N), without gaps
    channel, row, column, item = memory.strides
    shape = (G, C, KH, KW, *size, N)
    strides = (C * channel, channel, row * DH, column * DW, row * SH, column * SW, item)
    return np.ndarray(shape, memory.dtype, memory, strides=strides)
