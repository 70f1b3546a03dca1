"""The gradients of a convolution by the engine, and written in other ways."""

import numpy as np

from tests.exercises.by_the_engine import differentiated


def engine(dy, x, weight, stride, padding):
    bias = np.zeros(len(weight), weight.dtype)
    _, backward = differentiated("conv2d", x, weight, bias, stride=stride, padding=padding)
    return backward(dy)


def _padded(x, padding):
    return np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))


def with_eight_loops(dy, x, weight, stride, padding):
    """The definition, without a padded copy of the image."""
    (F, C, KH, KW), (H, W) = weight.shape, x.shape[2:]
    dx, dweight, dbias = np.zeros_like(x), np.zeros_like(weight), np.zeros(F, dy.dtype)
    for n, f, i, j in np.ndindex(dy.shape):
        dbias[f] += dy[n, f, i, j]
        for c, u, v in np.ndindex(C, KH, KW):
            row, column = i * stride + u - padding, j * stride + v - padding
            if 0 <= row < H and 0 <= column < W:
                dx[n, c, row, column] += dy[n, f, i, j] * weight[f, c, u, v]
                dweight[f, c, u, v] += dy[n, f, i, j] * x[n, c, row, column]
    return dx, dweight, dbias


def with_shifted_images(dy, x, weight, stride, padding):
    """Tap by tap, each with the whole batch at once."""
    padded, (OH, OW) = _padded(x, padding), dy.shape[2:]
    dpadded, dweight = np.zeros_like(padded), np.empty_like(weight)
    for u, v in np.ndindex(weight.shape[2:]):
        pixels = np.s_[:, :, u : u + stride * OH : stride, v : v + stride * OW : stride]
        dweight[:, :, u, v] = np.einsum("nfij,ncij->fc", dy, padded[pixels])
        dpadded[pixels] += np.einsum("nfij,fc->ncij", dy, weight[:, :, u, v])
    H, W = dpadded.shape[2:]
    dx = dpadded[:, :, padding : H - padding, padding : W - padding]
    return dx, dweight, np.einsum("nfij->f", dy)


def with_matrix_products(dy, x, weight, stride, padding):
    """The gradients of im2col(x) and of the matrix product, position by position."""
    (F, _, KH, KW), padded = weight.shape, _padded(x, padding)
    matrix, dmatrix = weight.reshape(F, -1), 0
    dpadded = np.zeros_like(padded)
    for i, j in np.ndindex(dy.shape[2:]):
        part = np.s_[:, :, i * stride : i * stride + KH, j * stride : j * stride + KW]
        windows = padded[part]
        dmatrix = dmatrix + dy[:, :, i, j].T @ windows.reshape(len(x), -1)
        dpadded[part] += (dy[:, :, i, j] @ matrix).reshape(windows.shape)
    inside = slice(padding, -padding or None)
    dbias = dy.sum(axis=3).sum(axis=2).sum(axis=0)
    return dpadded[:, :, inside, inside], dmatrix.reshape(weight.shape), dbias


def with_convolutions(dy, x, weight, stride, padding):
    """Both gradients are convolutions again, once dy is spread out with zeros between its rows.

    dx: the kernel, turned by 180 degrees, moves over dy. dweight: dy moves over the image.
    """
    (N, F), (KH, KW) = dy.shape[:2], weight.shape[2:]
    padded = _padded(x, padding)
    H, W = padded.shape[2:]
    spread = np.zeros((N, F, H - KH + 1, W - KW + 1), dy.dtype)
    spread[:, :, ::stride, ::stride] = dy
    view = np.lib.stride_tricks.sliding_window_view
    around = np.pad(spread, ((0, 0), (0, 0), (KH - 1, KH - 1), (KW - 1, KW - 1)))
    turned = weight[:, :, ::-1, ::-1]
    dpadded = np.einsum("nfrsuv,fcuv->ncrs", view(around, (KH, KW), axis=(2, 3)), turned)
    images = view(padded, spread.shape[2:], axis=(2, 3))
    dweight = np.einsum("ncuvij,nfij->fcuv", images, spread)
    dx = dpadded[:, :, padding : H - padding, padding : W - padding]
    return dx, dweight, dy.sum(axis=(0, 2, 3))
