"""The gradient of the image, in two ways that give the same numbers.

The adjoint form goes the way back, step by step: Wᵀ · dy gives the gradient of every window,
and `unstack_rows` adds each to the pixels it was copied from.

The flipped form sees that, with stride 1, a pixel's gradient is itself a sum over the places
around it: dx is dy convolved with the kernels turned by 180°, filters and channels exchanged. It
needs no adding up, but its matrix has only C rows, so it pays from some channels on.

Read next: kernels/fast/pooling.py
"""

from __future__ import annotations

from itertools import product

from minivision.backend import Array
from minivision.kernels import choice
from minivision.kernels.fast.stacked_rows import cut, unstack_rows
from minivision.kernels.memory import empty
from minivision.kernels.windows import Geometry
from minivision.kernels.workers import Work, part


def flipped(weight: Array, geometry: Geometry, groups: int) -> tuple[Array, Geometry]:
    """The weights (C, F/groups, KH, KW) and the geometry that carry dy back to dx; stride 1."""
    F, C, KH, KW = weight.shape
    turned = weight[:, :, ::-1, ::-1].reshape(groups, F // groups, C, KH, KW).swapaxes(1, 2)
    (PH, PW), (_, DW) = geometry.padding, geometry.dilation
    padding = (KH - 1 - PH, DW * (KW - 1) - PW)
    return turned.reshape(groups * C, F // groups, KH, KW), geometry._replace(padding=padding)


def adjoint_work(
    upstream: Array, filters: Array, dx: Array, geometry: Geometry, workers: int
) -> Work:
    """What each worker does to fill its rows of dx (G, C, H, W, N).

    upstream (G, F, OH, OW, N), filters (G, F, KH·C·KW).
    """
    G, C, H, W, N = dx.shape
    G, F, OH, OW, N = upstream.shape
    KH, KW = geometry.kernel
    SH, PH = geometry.stride[0], geometry.padding[0]
    height, width = choice.adjoint_tile(filters.shape, geometry, OW, N, dx.itemsize)
    bands = list(product(range(G), cut(H, min(height, -(-H // workers)))))
    back = filters.reshape(G, F, KH, -1).transpose(0, 2, 3, 1)  # (G, KH, C·KW, F)
    rows_of_dy = upstream.reshape(G, F, OH, -1).transpose(0, 2, 1, 3)  # (G, OH, F, OW·N)

    def work(worker: int) -> None:
        for group, lines in part(bands, worker, workers):
            dx[group, :, lines.start : lines.stop] = 0
            for columns in cut(OW, width):
                dstacked = empty((len(lines), C, KW, len(columns), N), dx)
                dstacked[...] = 0
                places = slice(columns.start * N, columns.stop * N)
                for r in range(OH):
                    top = r * SH - PH  # the image row under kernel row 0
                    i = range(max(0, lines.start - top), min(KH, lines.stop - top))
                    if i:
                        taps = back[group, i.start : i.stop].reshape(-1, F)
                        result = taps @ rows_of_dy[group, r, :, places]
                        met = slice(top + i.start - lines.start, top + i.stop - lines.start)
                        dstacked[met] += result.reshape(len(i), C, KW, len(columns), N)
                unstack_rows(dstacked, dx[group], geometry, lines, columns)

    return work
