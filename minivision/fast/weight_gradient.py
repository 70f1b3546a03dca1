"""The gradient of the weights: every window times the gradient at its position, summed.

    dW = Σ over all positions: windows · dyᵀ        (KH·C·KW, positions) · (positions, F)

The windows are rebuilt, tile by tile, rather than kept from the forward pass, because they are
KH·KW times as large as the image. The product has its longer side first, which is faster in BLAS,
and each worker sums its own tiles.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from minivision.backend import Array
from minivision.fast import choice
from minivision.fast.memory import empty
from minivision.fast.stacked_rows import covered, cut, stack_rows, windows_of
from minivision.fast.workers import Work, part
from minivision.windows import Window


def weight_work(
    image: Array, upstream: Array, window: Window, workers: int
) -> tuple[list[Array], Work]:
    """One sum (G, KH·C·KW, F) per worker, and the work of each worker: fill its own sum."""
    G, C, H, W, N = image.shape
    G, F, OH, OW, N = upstream.shape
    KH, KW = window.kernel
    sums = [empty((G, KH * C * KW, F), image) for _ in range(workers)]
    stacked, summed = C * KW * OW * N * image.itemsize, KH * C * KW * F * image.itemsize
    height = choice.gradient_rows(stacked, summed, window)
    tiles = list(product(range(G), cut(OH, height, workers)))
    add = _add_by_kernel_rows if choice.sum_by_kernel_rows(C * KW) else _add_by_output_rows

    def work(worker: int) -> None:
        total = sums[worker]
        total[...] = 0
        for group, rows in part(tiles, worker, workers):
            dy = upstream[group, :, rows.start : rows.stop].reshape(F, -1)
            add(total[group], image[group], dy.T, window, rows, range(OW))

    return sums, work


def _add_by_output_rows(
    total: Array, image: Array, dy: Array, window: Window, rows: range, columns: range
) -> None:
    """With few channels: one product per output row, over all taps at once."""
    stacked = stack_rows(image, window, covered(window, rows), columns)
    windows = windows_of(stacked, window, len(rows))
    R, M, places = windows.shape
    products = empty((R, M, len(dy.T)), total)
    np.matmul(windows, dy.reshape(R, places, -1), out=products)
    total += products.sum(axis=0)


def _add_by_kernel_rows(
    total: Array, image: Array, dy: Array, window: Window, rows: range, columns: range
) -> None:
    """With many channels: one product per kernel row i, over all output rows at once.

    Summing large products costs as much as computing them, so there should be few products.
    """
    KH, KW = window.kernel
    total = total.reshape(KH, -1, total.shape[1])
    result = empty(total.shape[1:], total)
    for i, lines in _lines_of_kernel_rows(image, window, rows, columns):
        np.matmul(lines, dy, out=result)
        total[i] += result


def _lines_of_kernel_rows(
    image: Array, window: Window, rows: range, columns: range
) -> Iterator[tuple[int, Array]]:
    """Yield (i, lines): lines (C·KW, rows·OW·N) are the pixels that kernel row i covers.

    With the channels outermost, consecutive rows form one long row. Kernel rows i, i + stride,
    i + 2·stride, … cover the same image rows, shifted, so these rows are stacked only once.
    """
    KH, KW = window.kernel
    SH, PH = window.stride[0], window.padding[0]
    C, places = len(image), len(columns) * image.shape[3]
    for phase in range(min(SH, KH)):
        shifts = (KH - 1 - phase) // SH
        first = rows.start * SH - PH + phase
        lines = range(first, first + (len(rows) + shifts) * SH, SH)
        stacked = stack_rows(image, window, lines, columns, rows_first=False)
        stacked = stacked.reshape(C * KW, -1)
        for shift in range(shifts + 1):
            met = slice(shift * places, (shift + len(rows)) * places)
            yield phase + shift * SH, stacked[:, met]


def sum_in_order(sums: list[Array], shape: tuple[int, ...], groups: int) -> Array:
    """The workers' sums (G, KH·C·KW, F), added in order -> dW of this shape."""
    F, C, KH, KW = shape
    total = sums[0]
    for later in sums[1:]:
        total += later
    total = total.reshape(groups, KH, C, KW, F // groups).transpose(0, 4, 2, 1, 3)
    dweight = empty(total.shape, total)
    dweight[...] = total
    return dweight.reshape(shape)
