"""Average pooling: the mean of each window, for a given window size or a given output size."""

from __future__ import annotations

from typing import Any

from numpy import ndindex

from minivision import fast
from minivision.backend import Array, array_module
from minivision.functional.checks import Pair, pooling_window
from minivision.functional.inputs import pair, sizes, tensors
from minivision.tensor import Tensor, record
from minivision.windows import Window, with_border, without_border


def avg_pool2d(
    x: Tensor | Array,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    *,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of every window.

    x (N, C, H, W) -> (N, C, OH, OW), OH = ⌊(H + 2·padding - KH) / stride⌋ + 1

        y = Σ window / (KH·KW)        dx = dy / (KH·KW) at every pixel of the window

    The border added by padding counts as zeros in the mean. With count_include_pad=False it is left
    out, and the sum is divided by the number of image pixels in the window.
    """
    x, window = pooling_window("avg_pool2d", x, kernel_size, stride, padding)
    count = _counted(x.data, window, count_include_pad)
    if fast.serves("avg_pool2d", x.data, window):
        y, backward = fast.avg_pool2d(x.data, window, count)
        return record(y, (x,), backward, window=window)

    xp, padded = array_module(x.data), with_border(x.data, window.padding)
    shape = padded.shape
    y = sum(window.taps(padded)) / count

    def backward(dy):
        share, dpadded = dy / count, xp.zeros_like(dy, shape=shape)
        for dpixels in window.taps(dpadded):
            dpixels += share
        return (without_border(dpadded, window.padding),)

    return record(y, (x,), backward, window=window)


def _counted(x: Array, window: Window, border: bool) -> Any:
    """The divisor of each window's sum; if the border does not count, an array (1, 1, OH, OW)."""
    if border:
        return window.kernel[0] * window.kernel[1]
    ones = array_module(x).ones((1, 1, *x.shape[2:]), x.dtype)
    return sum(window.taps(with_border(ones, window.padding)))


def adaptive_avg_pool2d(x: Tensor | Array, output_size: Pair) -> Tensor:
    """Average over windows chosen so that the result has a given size.

    x (N, C, H, W) -> (N, C, OH, OW), (OH, OW) = output_size

        y[i, j] = mean of x over rows ⌊i·H/OH⌋ to ⌈(i+1)·H/OH⌉ and columns likewise
        dx = dy / (pixels of the window), summed over the windows that contain the pixel

    With output_size=1 this is the mean of every map, or "global average pooling" (Lin et al. 2014).
    """
    (x,) = tensors("adaptive_avg_pool2d", x=x)
    N, C, H, W = sizes("adaptive_avg_pool2d", "x", x, "N C H W")
    OH, OW = pair("adaptive_avg_pool2d", "output_size", output_size, least=1)
    if min(H, W) < 1:
        raise ValueError(
            f"adaptive_avg_pool2d: x has shape {x.shape}; expected at least one pixel per image"
        )
    a, xp = x.data, array_module(x.data)
    rows, columns = even_slices(H, OH), even_slices(W, OW)

    y = xp.empty_like(a, shape=(N, C, OH, OW))
    for i, j in ndindex(OH, OW):
        y[:, :, i, j] = a[:, :, rows[i], columns[j]].mean(axis=(2, 3))

    def backward(dy):
        dx = xp.zeros_like(a)
        for i, j in ndindex(OH, OW):
            dwindow = dx[:, :, rows[i], columns[j]]  # a view
            pixels = dwindow.shape[2] * dwindow.shape[3]
            dwindow += dy[:, :, i : i + 1, j : j + 1] / pixels
        return (dx,)

    return record(y, (x,), backward)


def even_slices(n: int, parts: int) -> list[slice]:
    """Cover n pixels with `parts` windows, as evenly as possible; neighbours may overlap.

    Window i holds the pixels from ⌊i·n/parts⌋ up to, but not including, ⌈(i+1)·n/parts⌉.

    >>> even_slices(7, 3)
    [slice(0, 3, None), slice(2, 5, None), slice(4, 7, None)]
    """
    return [slice(i * n // parts, ((i + 1) * n + parts - 1) // parts) for i in range(parts)]
