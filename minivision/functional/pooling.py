"""Pooling: each window of a map is summed up in one number, its maximum or its mean.

Read next: functional/normalization.py
"""

from __future__ import annotations

from minivision.autograd import Tensor, record
from minivision.backend import Array
from minivision.functional.checks import pair, sizes, tensors
from minivision.kernels import choice, fast, plain
from minivision.kernels.memory import in_order, memory_order
from minivision.kernels.windows import Geometry

Pair = int | tuple[int, int]


def max_pool2d(
    x: Tensor | Array, kernel_size: Pair, stride: Pair | None = None, padding: Pair = 0
) -> Tensor:
    """The largest value of every window: whether a feature is there, not exactly where.

    x (N, C, H, W) -> (N, C, OH, OW), OH = ⌊(H + 2·padding - KH) / stride⌋ + 1

        y = max over the window        dx = dy at the first maximum of the window, 0 elsewhere

    stride defaults to the kernel's size; smaller ones overlap (Krizhevsky et al. 2012, §3.4), and
    a pixel that wins in several windows gets the sum. "First" is in reading order, as in PyTorch.
    The border added by padding (in pixels, at most half the kernel) never wins.

    >>> max_pool2d(Tensor([[[[1.0, 3.0], [2.0, 0.0]]]]), 2)
    Tensor([[[[3.]]]], float32)
    """
    x, geometry = _prepare("max_pool2d", x, kernel_size, stride, padding)
    a = x.data
    kernel = fast.pooling if choice.use_blocks(a) else plain.pooling
    y = kernel.max_pool(a, geometry)

    def backward(dy):
        return (in_order(kernel.max_pool_gradient(dy, a, y, geometry), memory_order(a)),)

    return record(y, (x,), backward)


def avg_pool2d(
    x: Tensor | Array, kernel_size: Pair, stride: Pair | None = None, padding: Pair = 0
) -> Tensor:
    """The mean of every window.

    x (N, C, H, W) -> (N, C, OH, OW), OH = ⌊(H + 2·padding - KH) / stride⌋ + 1

        y = Σ window / (KH·KW)        dx = dy / (KH·KW) at every pixel of the window

    The border added by padding counts as zeros in the mean, PyTorch's `count_include_pad=True`.
    """
    x, geometry = _prepare("avg_pool2d", x, kernel_size, stride, padding)
    shape, order = x.shape, memory_order(x.data)

    def backward(dy):
        return (in_order(plain.pooling.average_pool_gradient(dy, shape, geometry), order),)

    return record(plain.pooling.average_pool(x.data, geometry), (x,), backward)


def adaptive_avg_pool2d(x: Tensor | Array, output_size: Pair) -> Tensor:
    """Average over windows that are chosen so that the result has a given size.

    x (N, C, H, W) -> (N, C, OH, OW), (OH, OW) = output_size

        y[i, j] = mean of x over rows ⌊i·H/OH⌋ to ⌈(i+1)·H/OH⌉ and columns likewise
        dx = dy / (pixels of the window), summed over the windows a pixel lies in

    With output_size=1 it is the mean of every map, "global average pooling" (Lin et al. 2014).
    """
    (x,) = tensors("adaptive_avg_pool2d", x=x)
    N, C, H, W = sizes("adaptive_avg_pool2d", "x", x, "N C H W")
    size = pair("adaptive_avg_pool2d", "output_size", output_size, least=1)
    if min(H, W) < 1:
        raise ValueError(f"adaptive_avg_pool2d: x has shape {x.shape}; there are no pixels")
    shape, order = x.shape, memory_order(x.data)

    def backward(dy):
        return (in_order(plain.pooling.adaptive_average_pool_gradient(dy, shape), order),)

    return record(plain.pooling.adaptive_average_pool(x.data, size), (x,), backward)


def _prepare(
    function: str, x: Tensor | Array, kernel_size: Pair, stride: Pair | None, padding: Pair
) -> tuple[Tensor, Geometry]:
    (x,) = tensors(function, x=x)
    N, C, H, W = sizes(function, "x", x, "N C H W")
    KH, KW = pair(function, "kernel_size", kernel_size, least=1)
    SH, SW = pair(function, "stride", (KH, KW) if stride is None else stride, least=1)
    PH, PW = pair(function, "padding", padding, least=0)
    if 2 * PH > KH or 2 * PW > KW:
        raise ValueError(
            f"{function}: padding is {(PH, PW)}; expected at most half the kernel, {(KH, KW)}"
        )
    geometry = Geometry((KH, KW), (SH, SW), (PH, PW))
    if min(geometry.output_size(H, W)) < 1:
        raise ValueError(
            f"{function}: the kernel ({KH}x{KW}) is larger than the padded image "
            f"({H}x{W}, padding {(PH, PW)})"
        )
    return x, geometry
