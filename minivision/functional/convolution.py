"""Convolution: one small set of weights, laid on every place of the image.

The plain idea is three lines. Cut out every window of the image as a column (im2col); multiply the
matrix of filters with the matrix of columns; fold the product back into maps. The gradients are
the same product with one factor exchanged. kernels/plain/ has it in so many lines, kernels/fast/
computes the same sums in tiles.

Read next: functional/local.py
"""

from __future__ import annotations

import numpy as np

from minivision.autograd import Tensor, record
from minivision.backend import Array
from minivision.functional.checks import pair, sizes, tensors
from minivision.kernels import choice, fast, plain
from minivision.kernels.memory import batch_innermost, in_order, memory_order
from minivision.kernels.windows import Geometry

Pair = int | tuple[int, int]


def conv2d(
    x: Tensor | Array,
    weight: Tensor | Array,
    bias: Tensor | Array | None = None,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Tensor:
    """Slide F filters over an image and take the inner product at every place.

    x (N, C, H, W), weight (F, C/groups, KH, KW), bias (F) -> (N, F, OH, OW)

        y[n,f,i,j] = b[f] + Σ_{c,u,v} W[f,c,u,v] · x[n, c, i·stride + u·dilation - padding, …]
        dW = Σ over all places of dy · window      dx = every window gets W · dy      db = Σ dy
        OH = ⌊(H + 2·padding - dilation·(KH - 1) - 1) / stride⌋ + 1, OW likewise

    As in every deep-learning library this is a correlation: the kernel is not flipped. Outside
    the image x counts as 0. stride, padding and dilation are in pixels, one number or (vertical,
    horizontal). With groups, channels and filters are dealt into independent convolutions, as in
    AlexNet's two towers (Krizhevsky et al. 2012, §3.5).

    Raises ValueError where ranks, channels or groups do not fit or the kernel is larger than the
    padded image.

    >>> import numpy as np
    >>> image, edge = np.float32([[[[0, 0, 1, 1]]]]), np.float32([[[[-1, 1]]]])
    >>> conv2d(image, edge)
    Tensor([[[[0., 1., 0.]]]], float32)
    """
    x, weight, bias = tensors("conv2d", ("bias",), x=x, weight=weight, bias=bias)
    N, C, H, W = sizes("conv2d", "x", x, "N C H W")
    F, channels, KH, KW = sizes("conv2d", "weight", weight, "F C/groups KH KW")
    geometry = Geometry(
        (KH, KW),
        pair("conv2d", "stride", stride, least=1),
        pair("conv2d", "padding", padding, least=0),
        pair("conv2d", "dilation", dilation, least=1),
    )
    if not isinstance(groups, int | np.integer) or groups < 1 or C % groups or F % groups:
        raise ValueError(
            f"conv2d: groups is {groups!r}; expected a number that divides "
            f"the {C} channels of x and the {F} filters of weight"
        )
    if channels * groups != C:
        raise ValueError(
            f"conv2d: x has {C} channels but weight expects {channels * groups} "
            f"(weight {weight.shape}, groups={groups})"
        )
    if bias is not None and bias.shape != (F,):
        raise ValueError(f"conv2d: bias has shape {bias.shape}; expected ({F},)")
    if min(geometry.output_size(H, W)) < 1 or min(KH, KW) < 1:
        raise ValueError(
            f"conv2d: the kernel ({KH}x{KW}, dilation {geometry.dilation}) is larger than the "
            f"padded image ({H}x{W}, padding {geometry.padding})"
        )
    a, w = batch_innermost(x.data), weight.data
    want_dx, want_dw = x.requires_grad, weight.requires_grad
    want_db = bias is not None and bias.requires_grad
    x_order = memory_order(x.data)
    stacked = choice.use_stacked_rows(a, geometry)
    kernel = fast.convolution if stacked else plain.convolution

    y = kernel.convolve(a, w, None if bias is None else bias.data, geometry, groups)

    def backward(dy):
        dx, dw = kernel.gradients(dy, a, w, geometry, groups, want_dx, want_dw)
        db = dy.sum(axis=(0, 2, 3)) if want_db else None
        return None if dx is None else in_order(dx, x_order), dw, db

    return record(y, (x, weight, bias), backward)
