"""Local connectivity without weight sharing, and the windows themselves as differentiable columns.

Convolution combines two ideas: a unit looks at a small window, and all windows share their weights.
`locally_connected2d` uses the first idea without the second, to show what each contributes.
"""

from __future__ import annotations

from minivision.backend import Array, array_module
from minivision.functional.checks import Pair, make_window
from minivision.functional.convolution import col2im, im2col
from minivision.functional.inputs import pair, sizes, tensors
from minivision.tensor import Tensor, record
from minivision.windows import Window


def unfold(
    x: Tensor | Array,
    kernel_size: Pair,
    dilation: Pair = 1,
    padding: Pair = 0,
    stride: Pair = 1,
) -> Tensor:
    """im2col: every window of an image as a column.

    x (N, C, H, W) -> (N, C·KH·KW, OH·OW)        dx = fold(dy)

    The arguments are in PyTorch's order. A convolution is one matrix product with these columns.

    >>> import numpy as np
    >>> unfold(np.arange(9.0).reshape(1, 1, 3, 3), 2).numpy()[0, :, 0]
    array([0., 1., 3., 4.])
    """
    (x,) = tensors("unfold", x=x)
    N, C, H, W = sizes("unfold", "x", x, "N C H W")
    window = _checked_window("unfold", (H, W), kernel_size, dilation, padding, stride)
    shape = x.shape

    def backward(dy):
        return (_folded(dy, shape, window),)

    return record(_unfolded(x.data, window), (x,), backward)


def fold(
    columns: Tensor | Array,
    output_size: Pair,
    kernel_size: Pair,
    dilation: Pair = 1,
    padding: Pair = 0,
    stride: Pair = 1,
) -> Tensor:
    """col2im: add every column back to its window; the adjoint of `unfold`, not its inverse.

    columns (N, C·KH·KW, OH·OW) -> (N, C, H, W), (H, W) = output_size        dcolumns = unfold(dy)
    """
    (columns,) = tensors("fold", columns=columns)
    N, rows, L = sizes("fold", "columns", columns, "N C·KH·KW OH·OW")
    H, W = pair("fold", "output_size", output_size, least=1)
    window = _checked_window("fold", (H, W), kernel_size, dilation, padding, stride)
    KH, KW = window.kernel
    OH, OW = window.output_size(H, W)
    if rows % (KH * KW) or L != OH * OW:
        raise ValueError(
            f"fold: columns has shape {columns.shape}; expected (N, C·{KH}·{KW}, {OH * OW}), "
            f"because a {H}x{W} image has {OH}·{OW} = {OH * OW} of these windows"
        )

    def backward(dy):
        return (_unfolded(dy, window),)

    y = _folded(columns.data, (N, rows // (KH * KW), H, W), window)  # (N, rows//(KH·KW), H, W)
    return record(y, (columns,), backward)


def locally_connected2d(
    x: Tensor | Array,
    weight: Tensor | Array,
    bias: Tensor | Array | None = None,
    stride: Pair = 1,
    padding: Pair = 0,
) -> Tensor:
    """A convolution without weight sharing: every position has its own filters.

    x (N, C, H, W), weight (OH, OW, F, C, KH, KW), bias (F, OH, OW) -> (N, F, OH, OW)

        y[n,f,i,j] = b[f,i,j] + Σ_{c,u,v} W[i,j,f,c,u,v] · x[n, c, i·stride + u - padding, …]

    If all W[i, j] are the same, this is conv2d. (cuda-convnet2 calls it an unshared `local` layer.)
    """
    x, weight, bias = tensors("locally_connected2d", ("bias",), x=x, weight=weight, bias=bias)
    N, C, H, W = sizes("locally_connected2d", "x", x, "N C H W")
    OH, OW, F, channels, KH, KW = sizes("locally_connected2d", "weight", weight, "OH OW F C KH KW")
    window = _checked_window("locally_connected2d", (H, W), (KH, KW), 1, padding, stride)
    if channels != C or window.output_size(H, W) != (OH, OW):
        expected = (*window.output_size(H, W), F, C, KH, KW)
        raise ValueError(
            f"locally_connected2d: weight has shape {weight.shape}; expected {expected} "
            f"for x of shape {x.shape}"
        )
    if bias is not None and bias.shape != (F, OH, OW):
        raise ValueError(
            f"locally_connected2d: bias has shape {bias.shape}; expected {(F, OH, OW)}"
        )
    want_dx, want_dw = x.requires_grad, weight.requires_grad
    want_db = bias is not None and bias.requires_grad
    a, xp = x.data, array_module(x.data)
    w = weight.data.reshape(OH * OW, F, C * KH * KW)  # (OH·OW, F, C·KH·KW)

    # One matrix product per position: (F, C·KH·KW) · (C·KH·KW, N)
    y = xp.empty_like(a, shape=(N, F, OH, OW))
    y[...] = (w @ _places(a, window)).reshape(OH, OW, F, N).transpose(3, 2, 0, 1)
    if bias is not None:
        y += bias.data

    def backward(dy):
        upstream = dy.transpose(2, 3, 1, 0).reshape(OH * OW, F, N)  # (OH·OW, F, N)
        dx = dw = None
        if want_dw:
            columns = _places(a, window)
            dw = (upstream @ columns.swapaxes(1, 2)).reshape(OH, OW, F, C, KH, KW)
        if want_dx:
            dcolumns = w.swapaxes(1, 2) @ upstream  # (OH·OW, C·KH·KW, N)
            dx = xp.empty_like(a)
            dx[...] = _folded(dcolumns.transpose(2, 1, 0), a.shape, window)
        return dx, dw, dy.sum(axis=0) if want_db else None

    return record(y, (x, weight, bias), backward, window=window)


def _places(x: Array, window: Window) -> Array:
    """x (N, C, H, W) -> (OH·OW, C·KH·KW, N): the columns of im2col, one matrix per position."""
    return _unfolded(x, window).transpose(2, 1, 0)


def _unfolded(x: Array, window: Window) -> Array:
    """x (N, C, H, W) -> (N, C·KH·KW, OH·OW)."""
    columns, (OH, OW) = im2col(x, window), window.output_size(*x.shape[2:])
    return columns.reshape(len(columns), len(x), OH * OW).swapaxes(0, 1)


def _folded(columns: Array, shape: tuple[int, ...], window: Window) -> Array:
    """columns (N, C·KH·KW, OH·OW) -> (N, C, H, W), shape."""
    return col2im(columns.swapaxes(0, 1), shape, window)


def _checked_window(
    function: str,
    image: tuple[int, int],
    kernel_size: Pair,
    dilation: Pair,
    padding: Pair,
    stride: Pair,
) -> Window:
    window = make_window(function, kernel_size, stride, padding, dilation)
    if min(window.output_size(*image)) < 1:
        raise ValueError(
            f"{function}: the kernel {window.kernel} with dilation {window.dilation} is larger "
            f"than the padded image ({image[0]}x{image[1]}, padding {window.padding})"
        )
    return window
