"""Convolution by the engine, and written in other ways."""

import numpy as np

from minivision import functional as F


def engine(x, weight, bias, stride, padding):
    return F.conv2d(x, weight, bias, stride=stride, padding=padding).data


def _padded(x, padding):
    N, C, H, W = x.shape
    padded = np.zeros((N, C, H + 2 * padding, W + 2 * padding), x.dtype)
    padded[:, :, padding : padding + H, padding : padding + W] = x
    return padded


def with_seven_loops(x, weight, bias, stride, padding):
    """The definition, without a padded copy of the image."""
    (N, C, H, W), (F, C, KH, KW) = x.shape, weight.shape
    OH, OW = (H + 2 * padding - KH) // stride + 1, (W + 2 * padding - KW) // stride + 1
    y = np.zeros((N, F, OH, OW), x.dtype)
    for n, f, i, j in np.ndindex(y.shape):
        y[n, f, i, j] = bias[f]
        for c, u, v in np.ndindex(C, KH, KW):
            row, column = i * stride + u - padding, j * stride + v - padding
            if 0 <= row < H and 0 <= column < W:
                y[n, f, i, j] += weight[f, c, u, v] * x[n, c, row, column]
    return y


def with_einsum(x, weight, bias, stride, padding):
    windows = np.lib.stride_tricks.sliding_window_view(
        _padded(x, padding), weight.shape[2:], axis=(2, 3)
    )[:, :, ::stride, ::stride]
    return np.einsum("ncijuv,fcuv->nfij", windows, weight) + bias.reshape(1, -1, 1, 1)


def with_shifted_images(x, weight, bias, stride, padding):
    """A sum over the taps: each weight multiplies a shifted copy of the image."""
    padded, (KH, KW) = _padded(x, padding), weight.shape[2:]
    H, W = padded.shape[2] - KH + 1, padded.shape[3] - KW + 1
    y = bias[:, None, None]
    for u, v in np.ndindex(KH, KW):
        pixels = padded[:, :, u : u + H : stride, v : v + W : stride]
        y = y + np.tensordot(weight[:, :, u, v], pixels, axes=(1, 1)).swapaxes(0, 1)
    return y


def with_one_matrix_product(x, weight, bias, stride, padding):
    (F, _, KH, KW), padded = weight.shape, _padded(x, padding)
    N, _, H, W = padded.shape
    tops, lefts = range(0, H - KH + 1, stride), range(0, W - KW + 1, stride)
    columns = [
        image[:, top : top + KH, left : left + KW].ravel()
        for image in padded
        for top in tops
        for left in lefts
    ]
    y = weight.reshape(F, -1) @ np.array(columns).T + bias[:, None]
    return np.moveaxis(y.reshape(F, N, len(tops), len(lefts)), 0, 1)
