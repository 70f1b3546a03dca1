"""Max pooling: each window is reduced to its largest number."""

from __future__ import annotations

from functools import reduce

from minivision import fast
from minivision.backend import Array, array_module
from minivision.functional.checks import Pair, pooling_window
from minivision.tensor import Tensor, record
from minivision.windows import with_border, without_border


def max_pool2d(
    x: Tensor | Array, kernel_size: Pair, stride: Pair | None = None, padding: Pair = 0
) -> Tensor:
    """The largest value of every window: whether a feature is there, not exactly where.

    x (N, C, H, W) -> (N, C, OH, OW), OH = ⌊(H + 2·padding - KH) / stride⌋ + 1

        y = max over the window        dx = dy at the first maximum of the window, 0 elsewhere

    A small change to a pixel below the maximum does not change y, so the derivative for this pixel
    is 0; for the maximum it is 1. At a tie there is no derivative; as in PyTorch, the first of the
    equal pixels, in reading order, receives all of dy.

    stride defaults to the kernel's size. With a smaller stride the windows overlap (Krizhevsky et
    al. 2012, §3.4), and a pixel that is the maximum of several windows receives the sum of their
    gradients. The border added by padding (in pixels, at most half the kernel) is never the
    maximum. The maximum of a window that contains NaN is NaN; the gradient treats NaN as ∞.
    (PyTorch gives the gradient to the last NaN.)

    >>> max_pool2d(Tensor([[[[1.0, 3.0], [2.0, 0.0]]]]), 2)
    Tensor([[[[3.]]]], float32)
    """
    x, window = pooling_window("max_pool2d", x, kernel_size, stride, padding)
    # By default a faster version in fast/ runs; the code below runs only inside `with fast.off():`.
    if fast.serves("max_pool2d", x.data, window):
        y, backward = fast.max_pool2d(x.data, window)
        return record(y, (x,), backward, window=window)

    a, xp = x.data, array_module(x.data)
    y = reduce(xp.maximum, window.taps(with_border(a, window.padding, -xp.inf)), -xp.inf)

    def backward(dy):
        # Nothing equals NaN, so a border of NaN never matches; a NaN in the image becomes ∞.
        comparable, maxima = (xp.where(xp.isnan(b), xp.inf, b) for b in (a, y))
        padded = with_border(comparable, window.padding, xp.nan)
        # Try the taps in reading order: the first that equals the maximum takes all of dy.
        left, dpadded = dy, xp.zeros_like(padded)
        for pixels, dpixels in zip(window.taps(padded), window.taps(dpadded), strict=True):
            first = pixels == maxima
            dpixels += xp.where(first, left, 0)
            left = xp.where(first, 0, left)
        return (without_border(dpadded, window.padding),)

    return record(y, (x,), backward, window=window)
