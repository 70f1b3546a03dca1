"""Max pooling by the engine, and written in other ways."""

import numpy as np

from tests.exercises.by_the_engine import differentiated


def engine(x, kernel, stride):
    return differentiated("max_pool2d", x, kernel_size=kernel, stride=stride)


def with_taps(x, kernel, stride):
    """The largest of kernel² shifted images, as in the engine."""
    H, W = x.shape[2:]
    OH, OW = (H - kernel) // stride + 1, (W - kernel) // stride + 1
    places = [
        (slice(u, u + stride * (OH - 1) + 1, stride), slice(v, v + stride * (OW - 1) + 1, stride))
        for u in range(kernel)
        for v in range(kernel)
    ]
    y = np.max([x[:, :, rows, columns] for rows, columns in places], axis=0)

    def backward(dy):
        dx, left = np.zeros_like(x), dy
        for rows, columns in places:
            first = x[:, :, rows, columns] == y
            dx[:, :, rows, columns] += np.where(first, left, 0)
            left = np.where(first, 0, left)
        return dx

    return y, backward


def with_four_loops(x, kernel, stride):
    N, C, H, W = x.shape
    OH, OW = (H - kernel) // stride + 1, (W - kernel) // stride + 1
    y, winners = np.empty((N, C, OH, OW), x.dtype), {}
    for n, c, i, j in np.ndindex(N, C, OH, OW):
        best = -np.inf
        for u in range(kernel):
            for v in range(kernel):
                if x[n, c, i * stride + u, j * stride + v] > best:
                    best = x[n, c, i * stride + u, j * stride + v]
                    winners[n, c, i, j] = i * stride + u, j * stride + v
        y[n, c, i, j] = best

    def backward(dy):
        dx = np.zeros(x.shape, dy.dtype)
        for (n, c, i, j), (row, column) in winners.items():
            dx[n, c, row, column] += dy[n, c, i, j]
        return dx

    return y, backward


def with_sliding_windows(x, kernel, stride):
    windows = np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), axis=(2, 3))
    windows = windows[:, :, ::stride, ::stride].reshape(
        *windows[:, :, ::stride, ::stride].shape[:4], -1
    )
    first = windows.argmax(axis=-1)

    def backward(dy):
        dx = np.zeros_like(x)
        n, c, i, j = np.indices(first.shape)
        np.add.at(dx, (n, c, i * stride + first // kernel, j * stride + first % kernel), dy)
        return dx

    return windows.max(axis=-1), backward
