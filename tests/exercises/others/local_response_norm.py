"""Local response normalization by the engine, and written in other ways."""

import numpy as np

from minivision import functional as F


def engine(x, size, alpha, beta, k):
    return F.local_response_norm(x, size, alpha, beta, k).data


def with_loops(x, size, alpha, beta, k):
    y = np.empty_like(x)
    for n, c, i, j in np.ndindex(x.shape):
        s = k
        for other in range(x.shape[1]):
            if abs(other - c) <= size // 2:
                s += alpha * float(x[n, other, i, j]) ** 2
        y[n, c, i, j] = x[n, c, i, j] * s**-beta
    return y


def with_shifted_channels(x, size, alpha, beta, k):
    energy, C = x * x, x.shape[1]
    total = energy.copy()
    for shift in range(1, min(size // 2, C - 1) + 1):
        total[:, shift:] += energy[:, :-shift]
        total[:, :-shift] += energy[:, shift:]
    return x * (k + alpha * total) ** -beta


def with_a_band_matrix(x, size, alpha, beta, k):
    c = np.arange(x.shape[1])
    near = (abs(c[:, None] - c) <= size // 2).astype(x.dtype)
    return x / (k + alpha * np.einsum("cj,njhw->nchw", near, x**2)) ** beta


def with_sliding_windows(x, size, alpha, beta, k):
    half = size // 2
    padded = np.pad(x**2, ((0, 0), (half, half), (0, 0), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, size, axis=1)
    return x / (k + alpha * windows.sum(axis=-1)) ** beta
