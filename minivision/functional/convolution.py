"""Convolution: one small set of weights, applied at every position of the image.

Copy every window of the image into a column of a matrix (im2col). Convolution is then one matrix
product, the operation that computers do best (Chellapilla et al. 2006). Both gradients are matrix
products too, and col2im adds the columns of a gradient back to the pixels they were copied from.
"""

from __future__ import annotations

import itertools
import math

from minivision import fast
from minivision.backend import Array, array_module
from minivision.functional.checks import Pair, convolution_window
from minivision.functional.inputs import sizes, tensors
from minivision.tensor import Tensor, record
from minivision.windows import Window, with_border, without_border

MAX_COLUMN_BYTES = 256 * 2**20


def conv2d(
    x: Tensor | Array,
    weight: Tensor | Array,
    bias: Tensor | Array | None = None,
    stride: Pair = 1,
    padding: Pair | str = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Tensor:
    """Slide F filters over an image and take the inner product at every position.

    x (N, C, H, W), weight (F, C/groups, KH, KW), bias (F) -> (N, F, OH, OW)

        y[n,f,r,s] = b[f] + Σ_{c,i,j} W[f,c,i,j] · x[n, c, r·stride + i·dilation - padding, …]
        OH = ⌊(H + 2·padding - dilation·(KH - 1) - 1) / stride⌋ + 1, OW likewise

    With one group, as matrices, with W as (F, C·KH·KW) and y and dy as (F, N·OH·OW):

        y  = W · im2col(x) + b
        dW = dy · im2col(x)ᵀ        dx = col2im(Wᵀ · dy)        db = Σ dy over N, OH and OW

    The products are those of a linear layer. A weight is used for every image and position, so dW
    is summed over all columns; a pixel copied into several columns gets the sum of their gradients.

    As in every deep-learning library, this is a correlation: the kernel is not flipped. Outside
    the image, x counts as 0. stride, padding and dilation are in pixels, one number or (vertical,
    horizontal); padding="same" preserves the size of the image, for stride 1 and an odd kernel.
    groups splits the channels and filters into independent convolutions, as in AlexNet's two
    towers (Krizhevsky et al. 2012, §3.5).

    Raises ValueError if the shapes, channels or groups do not match or if the kernel is larger
    than the padded image.

    >>> import numpy as np
    >>> image, edge = np.float32([[[[0, 0, 1, 1]]]]), np.float32([[[[-1, 1]]]])
    >>> conv2d(image, edge)
    Tensor([[[[0., 1., 0.]]]], float32)
    """
    x, weight, bias = tensors("conv2d", ("bias",), x=x, weight=weight, bias=bias)
    N, C, H, W = sizes("conv2d", "x", x, "N C H W")
    F, D, KH, KW = sizes("conv2d", "weight", weight, "F D KH KW")  # D is C/groups
    window = convolution_window(x, weight, bias, stride, padding, dilation, groups)
    inputs = x, weight, bias
    wanted = [part is not None and part.requires_grad for part in inputs]
    a, w, b = x.data, weight.data, None if bias is None else bias.data
    # By default a faster version in fast/ runs; the code below runs only inside `with fast.off():`.
    if fast.serves("conv2d", a, window):
        y, backward = fast.conv2d(a, w, b, window, groups, wanted)
        return record(y, inputs, backward, window=window)

    xp = array_module(a)
    OH, OW = window.output_size(H, W)
    matrix = w.reshape(F, D * KH * KW)  # (F, D·KH·KW)
    y = xp.empty_like(a, shape=(N, F, OH, OW))
    # With one group and a batch that is not too large, there is just one part.
    parts = _parts(a, F, window, groups)
    for images, channels, filters in parts:
        maps = y[images, filters].swapaxes(0, 1)  # a view (F/groups, N, OH, OW) of this part
        sums = matrix[filters] @ im2col(a[images, channels], window)
        maps[...] = sums.reshape(maps.shape)
    if b is not None:
        y += b[:, None, None]

    def backward(dy):
        dx, dw = xp.empty_like(a), xp.zeros_like(w)
        for images, channels, filters in parts:
            dmaps = dy[images, filters].swapaxes(0, 1).reshape(F // groups, -1)
            image = a[images, channels]
            # The columns are KH·KW times as large as the image, so they are rebuilt, not kept.
            if wanted[0]:
                dx[images, channels] = col2im(matrix[filters].T @ dmaps, image.shape, window)
            if wanted[1]:
                dmatrix = dmaps @ im2col(image, window).T
                dw[filters] += dmatrix.reshape(F // groups, D, KH, KW)
        db = dy.sum(axis=(0, 2, 3)) if wanted[2] else None
        return dx if wanted[0] else None, dw if wanted[1] else None, db

    return record(y, inputs, backward, window=window)


def im2col(x: Array, window: Window) -> Array:
    """x (N, C, H, W) -> (C·KH·KW, N·OH·OW): every window becomes a column, in one strided copy.

    >>> import numpy as np
    >>> im2col(np.arange(9.0).reshape(1, 1, 3, 3), Window(kernel=(2, 2)))[:, 0]
    array([0., 1., 3., 4.])
    """
    windows = window.view(with_border(x, window.padding))
    N, C, KH, KW, OH, OW = windows.shape
    return windows.transpose(1, 2, 3, 0, 4, 5).reshape(C * KH * KW, N * OH * OW)


def col2im(columns: Array, shape: tuple[int, ...], window: Window) -> Array:
    """columns (C·KH·KW, N·OH·OW) -> (N, C, H, W), shape: add every column back to its window.

    The adjoint of im2col, ⟨im2col(x), c⟩ = ⟨x, col2im(c)⟩, and therefore its gradient.

    >>> import numpy as np
    >>> col2im(np.ones((4, 4)), (1, 1, 3, 3), Window(kernel=(2, 2))).astype(int).tolist()
    [[[[1, 2, 1], [2, 4, 2], [1, 2, 1]]]]
    """
    N, C, H, W = shape
    PH, PW = window.padding
    (KH, KW), (OH, OW) = window.kernel, window.output_size(H, W)
    padded = array_module(columns).zeros_like(columns, shape=(N, C, H + 2 * PH, W + 2 * PW))
    columns = columns.reshape(C, KH * KW, N, OH, OW).transpose(1, 2, 0, 3, 4)
    for tap, pixels in enumerate(window.taps(padded)):
        pixels += columns[tap]  # both (N, C, OH, OW)
    return without_border(padded, window.padding)


def _parts(x: Array, filters: int, window: Window, groups: int) -> list[tuple[slice, slice, slice]]:
    """Split the work into slices of (images, channels, filters), each one matrix product.

    There is at least one part per group. A large batch is split so that the columns take at most
    MAX_COLUMN_BYTES at a time.
    """
    N, C, H, W = x.shape
    positions = math.prod(window.output_size(H, W))
    bytes_per_image = C // groups * math.prod(window.kernel) * positions * x.itemsize
    step = max(1, MAX_COLUMN_BYTES // max(1, bytes_per_image))
    return [
        (slice(n, n + step), _share(C, group, groups), _share(filters, group, groups))
        for n, group in itertools.product(range(0, N, step), range(groups))
    ]


def _share(size: int, group: int, groups: int) -> slice:
    return slice(group * size // groups, (group + 1) * size // groups)
