"""Sliding windows: the pixels that each tap of a kernel meets, over all its positions.

A kernel of KH x KW taps is laid on every position of the output. Seen from one tap (i, j), the
pixels it meets form a regular grid: a strided view of the padded image, which costs nothing. Both
im2col and pooling, and their gradients, are one loop over these KH·KW views.

Read next: kernels/plain/__init__.py
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from minivision.backend import Array
from minivision.kernels.memory import BATCH_INNERMOST, batch_innermost, empty


class Geometry(NamedTuple):
    """How a window moves over an image; every field is (vertical, horizontal), in pixels."""

    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)

    def output_size(self, H: int, W: int) -> tuple[int, int]:
        """How often the window fits: ⌊(n + 2·padding - dilation·(kernel - 1) - 1) / stride⌋ + 1.

        >>> Geometry(kernel=(11, 11), stride=(4, 4)).output_size(227, 227)
        (55, 55)
        """
        (KH, KW), (SH, SW), (PH, PW), (DH, DW) = self
        OH = (H + 2 * PH - DH * (KH - 1) - 1) // SH + 1
        OW = (W + 2 * PW - DW * (KW - 1) - 1) // SW + 1
        return OH, OW


def pad(x: Array, padding: tuple[int, int], value: float = 0.0) -> Array:
    """x (N, C, H, W) with a border of `value`, batch innermost in memory; x itself if it is so."""
    N, C, H, W = x.shape
    PH, PW = padding
    if PH == PW == 0:
        return batch_innermost(x)
    padded = empty((N, C, H + 2 * PH, W + 2 * PW), x, BATCH_INNERMOST)
    padded[...] = value
    padded[:, :, PH : PH + H, PW : PW + W] = x
    return padded


def crop(padded: Array, padding: tuple[int, int]) -> Array:
    """What `pad` put a border around, as a view."""
    N, C, H, W = padded.shape
    PH, PW = padding
    return padded[:, :, PH : H - PH, PW : W - PW]


def windows(padded: Array, geometry: Geometry) -> Iterator[tuple[int, int, Array]]:
    """Yield (i, j, view) for every tap of the kernel; view (N, C, OH, OW) into the padded image.

    view[n, c, y, x] = padded[n, c, y·stride + i·dilation, x·stride + j·dilation]
    """
    (KH, KW), (SH, SW), _, (DH, DW) = geometry
    H, W = padded.shape[2:]
    OH, OW = geometry._replace(padding=(0, 0)).output_size(H, W)
    for i in range(KH):
        for j in range(KW):
            rows = slice(i * DH, i * DH + (OH - 1) * SH + 1, SH)
            columns = slice(j * DW, j * DW + (OW - 1) * SW + 1, SW)
            yield i, j, padded[:, :, rows, columns]
