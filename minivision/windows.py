"""Sliding windows: the pixels under a kernel as it moves over an image.

Images are arrays (N, C, H, W): N images with C channels (colours, or feature maps), H pixels high
and W wide. A *kernel* of KH x KW cells, called taps, is placed on the image and moved *stride*
pixels at a time, over OH x OW positions. *Padding* is a border around the image, which lets the
kernel reach beyond the edge; with a *dilation* of 2 the taps are two pixels apart, with gaps in
between.

Consider one tap (i, j). The pixels that it covers over all positions form a regular grid: a strided
view of the image, which needs no copy. Convolution, pooling and their gradients are built from
these views.
"""

from __future__ import annotations

from typing import NamedTuple

from minivision.backend import Array, array_module


class Window(NamedTuple):
    """How a window moves over an image; every field is (vertical, horizontal), in pixels."""

    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)

    def output_size(self, H: int, W: int) -> tuple[int, int]:
        """The number of positions: ⌊(n + 2·padding - dilation·(kernel - 1) - 1) / stride⌋ + 1.

        >>> Window(kernel=(11, 11), stride=(4, 4)).output_size(227, 227)
        (55, 55)
        """
        (KH, KW), (SH, SW), (PH, PW), (DH, DW) = self
        OH = (H + 2 * PH - DH * (KH - 1) - 1) // SH + 1
        OW = (W + 2 * PW - DW * (KW - 1) - 1) // SW + 1
        return OH, OW

    def view(self, padded: Array) -> Array:
        """All windows of a padded image: (N, C, H, W) -> (N, C, KH, KW, OH, OW).

            view[n, c, i, j, r, s] = padded[n, c, r·stride + i·dilation, s·stride + j·dilation]

        Strides are the bytes from one entry to the next along each axis. The view repeats pixels
        instead of copying them: with stride and dilation 1, a step along i moves as far as a step
        along r, so (i + 1, r) and (i, r + 1) are the same pixel.
        """
        (KH, KW), (SH, SW), _, (DH, DW) = self
        N, C, H, W = padded.shape
        OH, OW = self._replace(padding=(0, 0)).output_size(H, W)
        image, channel, row, column = padded.strides
        return array_module(padded).lib.stride_tricks.as_strided(
            padded,
            (N, C, KH, KW, OH, OW),
            (image, channel, row * DH, column * DW, row * SH, column * SW),
        )

    def taps(self, padded: Array) -> list[Array]:
        """The pixels under each tap, in reading order: KH·KW views (N, C, OH, OW).

        A tap covers no pixel twice, so its view can be added to in place. The whole `view` cannot,
        because windows overlap.
        """
        KH, KW = self.kernel
        view = self.view(padded)
        return [view[:, :, i, j] for i in range(KH) for j in range(KW)]


def with_border(x: Array, padding: tuple[int, int], value: float = 0) -> Array:
    """x (N, C, H, W) with a border of `value` around each map; x itself if padding is 0."""
    N, C, H, W = x.shape
    PH, PW = padding
    if PH == PW == 0:
        return x
    padded = array_module(x).full_like(x, value, shape=(N, C, H + 2 * PH, W + 2 * PW))
    without_border(padded, padding)[...] = x
    return padded


def without_border(padded: Array, padding: tuple[int, int]) -> Array:
    """The interior of a padded array, as a view: the inverse of `with_border`."""
    N, C, H, W = padded.shape
    PH, PW = padding
    return padded[:, :, PH : H - PH, PW : W - PW]
