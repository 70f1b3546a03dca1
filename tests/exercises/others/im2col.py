"""im2col of the engine, and written in other ways."""

import numpy as np

from minivision.functional import convolution
from minivision.windows import Window


def engine(x, kernel, stride, padding):
    window = Window((kernel, kernel), (stride, stride), (padding, padding))
    return convolution.im2col(x, window)


def _padded(x, padding):
    N, C, H, W = x.shape
    padded = np.zeros((N, C, H + 2 * padding, W + 2 * padding), x.dtype)
    padded[:, :, padding : padding + H, padding : padding + W] = x
    return padded


def with_taps(x, kernel, stride, padding):
    """One row at a time: the pixels at the same place in all windows are a strided slice."""
    padded = _padded(x, padding)
    H, W = padded.shape[2:]
    rows = [
        padded[:, c, u : H - kernel + u + 1 : stride, v : W - kernel + v + 1 : stride].ravel()
        for c in range(x.shape[1])
        for u in range(kernel)
        for v in range(kernel)
    ]
    return np.stack(rows)


def with_sliding_windows(x, kernel, stride, padding):
    windows = np.lib.stride_tricks.sliding_window_view(
        _padded(x, padding), (kernel, kernel), axis=(2, 3)
    )[:, :, ::stride, ::stride]
    return windows.transpose(1, 4, 5, 0, 2, 3).reshape(x.shape[1] * kernel**2, -1)


def with_six_loops(x, kernel, stride, padding):
    N, C, H, W = x.shape
    OH = (H + 2 * padding - kernel) // stride + 1
    OW = (W + 2 * padding - kernel) // stride + 1
    columns = np.zeros((C * kernel * kernel, N * OH * OW), x.dtype)
    for c, u, v, n, i, j in np.ndindex(C, kernel, kernel, N, OH, OW):
        row, column = i * stride + u - padding, j * stride + v - padding
        if 0 <= row < H and 0 <= column < W:
            to = (c * kernel + u) * kernel + v, (n * OH + i) * OW + j
            columns[to] = x[n, c, row, column]
    return columns


def with_a_list_of_windows(x, kernel, stride, padding):
    padded = _padded(x, padding)
    H, W = padded.shape[2:]
    windows = [
        image[:, top : top + kernel, left : left + kernel].flatten()
        for image in padded
        for top in range(0, H - kernel + 1, stride)
        for left in range(0, W - kernel + 1, stride)
    ]
    return np.transpose(windows)
