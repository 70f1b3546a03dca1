"""The gradient of the image, computed in two equivalent ways.

The adjoint form reverses the forward steps: Wᵀ · dy gives the gradient of every window, and
`unstack_rows` adds each to the pixels it was copied from.

The flipped form uses the fact that, with stride 1, a pixel's gradient is a sum over the positions
around it: dx is dy convolved with the kernels rotated by 180°, with filters and channels swapped.
This needs no separate summation, but the matrix has only C rows, so it pays off only with enough
channels.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from minivision.backend import Array
from minivision.fast import choice
from minivision.fast.memory import empty
from minivision.fast.stacked_rows import covered, cut, inside, unstack_rows
from minivision.fast.workers import Work
from minivision.windows import Window


def flipped(weight: Array, window: Window, groups: int) -> tuple[Array, Window]:
    """The weights (C, F/groups, KH, KW) and the window that turn dy into dx; stride 1."""
    F, C, KH, KW = weight.shape
    turned = weight[:, :, ::-1, ::-1].reshape(groups, F // groups, C, KH, KW).swapaxes(1, 2)
    (PH, PW), (_, DW) = window.padding, window.dilation
    padding = (KH - 1 - PH, DW * (KW - 1) - PW)
    return turned.reshape(groups * C, F // groups, KH, KW), window._replace(padding=padding)


def adjoint_work(upstream: Array, filters: Array, dx: Array, window: Window, workers: int) -> Work:
    """The work of each worker: fill dx (G, C, H, W, N) for some of the images.

    upstream (G, F, OH, OW, N), filters (G, F, KH·C·KW).
    """
    G, C, H, W, N = dx.shape
    G, F, OH, OW, N = upstream.shape
    images = cut(N, -(-N // workers))

    def work(worker: int) -> None:
        if worker >= len(images):  # fewer images than workers
            return
        mine = images[worker]
        some = slice(mine.start, mine.stop)
        height = choice.adjoint_rows(filters.shape[2] * OW * len(mine) * dx.itemsize)
        for group, rows in product(range(G), cut(OH, height)):
            if rows.start == 0:
                dx[group, ..., some] = 0
            dy = upstream[group, :, rows.start : rows.stop, :, some]
            _add_rows(dy, filters[group], dx[group, ..., some], window, rows)

    return work


def _add_rows(dy: Array, filters: Array, dx: Array, window: Window, rows: range) -> None:
    """Add the contribution of the output rows dy (F, R, OW, N) to dx (C, H, W, N)."""
    C, H, W, N = dx.shape
    F, R, OW, N = dy.shape
    KH, KW = window.kernel
    SH = window.stride[0]
    upstream = empty((R, F, OW, N), dy)
    upstream[...] = dy.transpose(1, 0, 2, 3)
    dwindows = empty((R, KH * C * KW, OW * N), dy)
    np.matmul(filters.T, upstream.reshape(R, F, -1), out=dwindows)
    dwindows = dwindows.reshape(R, KH, C, KW, OW, N)

    lines = covered(window, rows)
    dstacked = empty((len(lines), C, KW, OW, N), dy)
    dstacked[...] = 0
    for i in range(KH):
        dstacked[i : i + (R - 1) * SH + 1 : SH] += dwindows[:, i]
    top, bottom = inside(lines, H)
    unstack_rows(dstacked[top:bottom], dx, window, lines[top:bottom], range(OW))
